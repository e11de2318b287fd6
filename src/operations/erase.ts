import { done, type StepList } from './journal/step.ts';
import { isFenced, moveMachine, quarantine, readyAgain } from './machine-state.ts';
import { orderId } from './steps/engine-phase.ts';
import { erasePhase } from './steps/erase-phase.ts';
import { provisioningWishes, settlePorts } from './steps/port-steps.ts';
import { powerOff } from './steps/power-steps.ts';

/** Erases a machine that nobody holds, so that it is ready again: after a failed Start, or because an operator asks. */
export const erase: StepList = {
  name: 'erase',
  version: 1,
  kind: 'erase',
  cancellable: false,
  onFailure: 'stand',
  steps: [
    powerOff('power.off'),
    settlePorts('ports.provisioning', provisioningWishes),
    ...erasePhase(() => true),
    {
      name: 'finish',
      kind: 'checkable',
      run: async (run) =>
        done(`${(await run.machine()).hostname}: erased and ready`, {
          commit: async (tx) => {
            // The proof that a fence or a failed erase was waiting for.
            await readyAgain(tx, run.world, run.operation.machineId, 'erased, with evidence');
          },
        }),
      undo: { none: 'it is the last step' },
      plan: async () => ['machine ready'],
    },
  ],
  failed: {
    commit: async (tx, run, error) => {
      const machine = await tx.machines.find(run.operation.machineId);
      if (machine?.state === 'erasing') await moveMachine(tx, machine.id, 'failed');
      await run.world.boots.withdrawIn(tx, orderId(run, 'erase'));
      const fenced = await isFenced(tx, run.operation.machineId);
      if (error) await quarantine(tx, run.world, run.operation.machineId, error, fenced);
    },
  },
  stuck: { commit: async () => undefined },
};
