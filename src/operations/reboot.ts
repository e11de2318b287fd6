import type { JsonObject } from '../../plugin-api/index.ts';
import { done, type Step, type StepList } from './journal/step.ts';
import { bootDevice, powerOn } from './steps/power-steps.ts';

export interface RebootInput extends JsonObject {
  readonly externalId: string;
}

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
      return done('power cycle accepted', { verified: false });
    },
    resolve: async () => done('cut off while cycling the power; it is not cycled again', { verified: false }),
    undo: { none: 'a power cycle cannot be taken back' },
    plan: async (run) => [run.world.power.planTurn(await run.machine(), 'cycle')],
  };
}
