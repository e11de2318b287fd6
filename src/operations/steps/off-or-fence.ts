import { DeviceError, milliseconds, type CodedError, type Duration } from '../../../plugin-api/index.ts';
import { formatDuration } from '../../kernel/clock/duration.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { done, type Outcome, type StepContext, type StepRun } from '../journal/step.ts';
import { fencePorts } from './port-steps.ts';

/** Off, or, where that cannot be confirmed, every port shut and the operation told so. */
export async function offOrFence<C extends StepContext>(run: StepRun<C>): Promise<Outcome<C>> {
  // The fence must come within the time that is kept for undoing, whatever the BMC does with the first half of it.
  const failure = await tryOff(run, milliseconds(run.world.timings.undoBudget / 2));
  if (failure === null) return done('off, confirmed');
  const { told } = await fencePorts(run);
  throw new ServiceError({
    code: 'operation.fenced',
    what: `power off could not be confirmed (${failure.message}); ${told}`,
    where: (await run.machine()).hostname,
    cause: failure,
  });
}

/**
 * Tries several times before it gives up: a fence is the last resort.
 * @param within for all tries together; default as long as they take.
 * @returns why it cannot be confirmed off, or null.
 */
export async function tryOff(run: StepRun, within?: Duration): Promise<CodedError | null> {
  const { clock, timings, power } = run.world;
  const machine = await run.machine();
  let last: DeviceError | null = null;
  const tries = async (signal: AbortSignal): Promise<DeviceError | null> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await power.turn(machine, 'off', signal);
        return null;
      } catch (thrown) {
        if (signal.aborted || !(thrown instanceof DeviceError)) throw thrown;
        last = thrown;
        if (thrown.retry !== 'later' || attempt >= 3) return thrown;
        await clock.sleep(timings.retryDelay, signal);
      }
    }
  };
  if (within === undefined) return tries(run.signal);
  const late = (): DeviceError =>
    last ??
    new DeviceError({
      code: 'power.unconfirmed',
      what: `the machine was not confirmed off within ${formatDuration(within)}`,
      where: machine.hostname,
    });
  try {
    return await withDeadline(clock, within, late, tries, run.signal);
  } catch (thrown) {
    // Out of time is no reason to leave the ports open. A lost lease is: another process goes on here.
    if (thrown instanceof DeviceError) return thrown;
    if (thrown instanceof ServiceError && thrown.code === 'operation.deadline') return thrown;
    throw thrown;
  }
}
