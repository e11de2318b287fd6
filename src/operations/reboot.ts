import type { Duration } from '../../plugin-api/index.ts';
import { done, type Outcome, type Step, type StepList, type StepRun } from './journal/step.ts';
import { bootDevice, powerOn } from './steps/power-steps.ts';

/** Reboot: power cycle if on, on if off; from the disk, confirmed on. */
export const reboot: StepList = {
  name: 'reboot',
  version: 1,
  kind: 'reboot',
  cancellable: false,
  onFailure: 'stand',
  steps: [bootDevice('boot-device.disk', 'disk'), cycle(), powerOn('power.on')],
  failed: {
    commit: async (_tx, run, error) =>
      run.world.log.warn({ operation: run.operation.id, code: error?.code }, 'reboot failed'),
  },
  stuck: { commit: async () => undefined },
};

/**
 * The state follows a cycle late. Whoever believed "on" at once would let a Stop be answered by the off phase of this very
 * cycle, and the machine come on again behind it.
 */
async function awaitDrop(run: StepRun): Promise<Outcome> {
  const { clock, power, timings } = run.world;
  const until = clock.monotonic() + timings.cycleSettle;
  const machine = await run.machine();
  while (clock.monotonic() < until) {
    if ((await power.state(machine, run.signal)) === 'off') return done('power cycle: seen off');
    await run.pause(Math.min(timings.pollInterval, timings.cycleSettle / 20) as Duration);
  }
  return done('power cycle accepted; the off phase was not seen', { verified: false });
}

/** The cycle is sent once. What came of it shows only in the power state that the next step confirms. */
function cycle(): Step {
  return {
    name: 'power.cycle',
    kind: 'at-most-once',
    run: async (run) => {
      const machine = await run.machine();
      if ((await run.world.power.state(machine, run.signal)) === 'off')
        return done('off: it is switched on instead');
      await run.world.power.cycle(machine, run.signal);
      return awaitDrop(run);
    },
    resolve: async () => done('cut off while cycling the power; it is not cycled again', { verified: false }),
    undo: { none: 'a power cycle cannot be taken back' },
    plan: async (run) => [run.world.power.planTurn(await run.machine(), 'cycle')],
  };
}
