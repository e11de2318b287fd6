import { DeviceError, type EraseGrade } from '../../../plugin-api/index.ts';
import { moveMachine } from '../machine-state.ts';
import type { Step, StepContext } from '../journal/step.ts';
import { enginePhase, orderId } from './engine-phase.ts';

/**
 * The erase of every writable local disk, to the grade in the operation's input. The machine's clean-disk evidence is written
 * with the outcome of the wait, never otherwise (law 5).
 */
export function erasePhase<C extends StepContext>(
  applies: NonNullable<Step<C>['applies']>,
): readonly Step<C>[] {
  return enginePhase<C>({
    phase: 'erase',
    applies,
    order: async (run) => {
      const machine = await run.machine();
      return {
        id: orderId(run, 'erase'),
        machineId: machine.id,
        hostname: machine.hostname,
        macs: machine.nics.map((nic) => nic.mac),
        phase: 'erase',
        grade: gradeOf(run.operation.input['grade']),
        disks: machine.disks,
      };
    },
    onPowerOn: async (tx, run) => {
      await moveMachine(
        tx,
        run.operation.machineId,
        run.operation.kind === 'commission' ? 'commissioning' : 'erasing',
        { clean: null },
      );
    },
    onDone: async (run, progress) => {
      const { evidence } = progress;
      if (!evidence)
        throw new DeviceError({
          code: 'deploy.erase-unproven',
          what: 'the engine reported the erase done without evidence',
        });
      const grade = gradeOf(run.operation.input['grade']);
      return {
        evidence,
        commit: async (tx) => {
          const machine = await tx.machines.find(run.operation.machineId);
          if (machine)
            await tx.machines.update({ ...machine, clean: { grade, at: run.world.clock.now(), evidence } });
        },
      };
    },
  });
}

function gradeOf(value: unknown): Exclude<EraseGrade, 'none'> {
  return value === 'quick' || value === 'full' ? value : 'secure';
}
