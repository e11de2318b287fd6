import type { JsonObject } from '../../plugin-api/index.ts';
import { DeviceError } from '../../plugin-api/index.ts';
import { done, type Step, type StepList } from './journal/step.ts';
import { powerOff } from './steps/power-steps.ts';

interface StopContext extends JsonObject {
  readonly off: boolean;
}

/** Stop: ACPI soft, bounded wait, hard; confirmed. Ports, claim and disks stay as they are. */
export const stop: StepList<StopContext> = {
  name: 'stop',
  version: 1,
  kind: 'stop',
  cancellable: false,
  onFailure: 'stand',
  steps: [softOff(), awaitOff(), powerOff('power.off')],
  failed: {
    commit: async (_tx, run, error) =>
      run.world.log.warn({ operation: run.operation.id, code: error?.code }, 'stop failed'),
  },
  stuck: { commit: async () => undefined },
};

/** Asks the OS once. Whatever becomes of the request, the hard off follows: it decides. */
function softOff(): Step<StopContext> {
  return {
    name: 'power.soft',
    kind: 'at-most-once',
    run: async (run) => {
      const machine = await run.machine();
      if (run.operation.input['force'] === true)
        return done('forced: the OS is not asked', { context: { off: true } });
      if ((await run.world.power.state(machine, run.signal)) === 'off')
        return done('already off', { context: { off: true } });
      try {
        await run.world.power.soft(machine, run.signal);
        return done('the OS was asked to shut down', { verified: false, context: { off: false } });
      } catch (thrown) {
        if (!(thrown instanceof DeviceError) || thrown.code === 'power.auth') throw thrown;
        const off = thrown.code !== 'power.outcome-unknown';
        return done(`the OS could not be asked: ${thrown.message}`, { verified: false, context: { off } });
      }
    },
    resolve: async () =>
      done('cut off while asking the OS; it is not asked again', {
        verified: false,
        context: { off: false },
      }),
    undo: { none: 'a shutdown request cannot be taken back' },
    plan: async (run) =>
      run.operation.input['force'] === true ? [] : [run.world.power.planTurn(await run.machine(), 'soft')],
  };
}

function awaitOff(): Step<StopContext> {
  return {
    name: 'power.await-off',
    kind: 'checkable',
    applies: (context) => !context.off,
    run: async (run) => {
      const { clock, power, timings } = run.world;
      const until = clock.monotonic() + timings.softOff;
      const machine = await run.machine();
      while (clock.monotonic() < until) {
        if ((await power.state(machine, run.signal)) === 'off') return done('the OS shut down by itself');
        run.progress('waiting for the OS to shut down');
        await run.pause(timings.pollInterval);
      }
      return done('the OS did not shut down in time; hard off follows');
    },
    undo: { none: 'it only waits' },
    plan: async (run) => [
      `wait up to ${Math.round(run.world.timings.softOff / 1_000)} s for the OS to shut down`,
    ],
  };
}
