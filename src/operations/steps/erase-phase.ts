import { DeviceError, type EraseGrade } from '../../../plugin-api/index.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { moveMachine } from '../machine-state.ts';
import type { Step, StepContext } from '../journal/step.ts';
import { engineDrives, enginePhase, orderBase } from './engine-phase.ts';
import { offOrFence } from './off-or-fence.ts';

/**
 * The erase of every writable local disk, to the grade in the operation's input. The machine's clean-disk evidence is written
 * with the outcome of the wait, never otherwise (law 5).
 */
export function erasePhase<C extends StepContext>(
  applies: NonNullable<Step<C>['applies']>,
): readonly Step<C>[] {
  const steps = enginePhase<C>({
    phase: 'erase',
    applies,
    order: async (run) => {
      const { disks } = await run.machine();
      return {
        ...(await orderBase(run, 'erase')),
        grade: gradeOf(run.operation.input['grade']),
        disks,
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
  return steps.map((step) => (mayBeOn.includes(step.name) ? endingOff(step) : step));
}

/** Steps during which the machine may be on by our own word. */
const mayBeOn: readonly string[] = ['erase.power-on', 'erase.wait'];

/**
 * Most erases are not undone. A machine that came up otherwise than it should, in the system that was to be erased say, must all the
 * same not stay on in the provisioning network: off, confirmed, or fenced.
 */
function endingOff<C extends StepContext>(step: Step<C>): Step<C> {
  return {
    ...step,
    run: async (run) => {
      try {
        return await step.run(run);
      } catch (thrown) {
        const undone = run.operation.kind === 'commission';
        if (undone || engineDrives(run.operation.input, 'erase')) throw thrown;
        const { signal } = run;
        // Whoever must leave the machine to another process touches it no more; whose time is up has that of the undo.
        if (signal.aborted && asCodedError(signal.reason).code !== 'operation.deadline') throw thrown;
        await offOrFence(signal.aborted ? { ...run, signal: new AbortController().signal } : run);
        throw thrown;
      }
    },
  };
}

function gradeOf(value: unknown): Exclude<EraseGrade, 'none'> {
  return value === 'quick' || value === 'full' ? value : 'secure';
}
