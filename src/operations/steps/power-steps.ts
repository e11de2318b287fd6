import {
  DeviceError,
  milliseconds,
  type BootDevice,
  type CodedError,
  type Duration,
} from '../../../plugin-api/index.ts';
import { formatDuration } from '../../kernel/clock/duration.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { done, type Outcome, type Step, type StepContext, type StepRun } from '../journal/step.ts';
import { fencePorts } from './port-steps.ts';

/** Off, confirmed by reading. */
export function powerOff<C extends StepContext>(
  name: string,
  more: Partial<Pick<Step<C>, 'applies' | 'prepare'>> = {},
): Step<C> {
  return {
    ...more,
    name,
    kind: 'checkable',
    run: async (run) => ({ evidence: await run.world.power.turn(await run.machine(), 'off', run.signal) }),
    undo: { none: 'off is where every operation that fails leaves the machine' },
    plan: async (run) => [run.world.power.planTurn(await run.machine(), 'off')],
  };
}

/** On, confirmed by reading. Its undo is off, confirmed, or the fence (law 4c). */
export function powerOn<C extends StepContext>(
  name: string,
  more: Partial<Pick<Step<C>, 'applies' | 'prepare'>> & {
    /** A sign from the machine itself that it was on, or null. */
    readonly sign?: (run: StepRun<C>) => Promise<string | null>;
    /** Calls `tell` when there may be such a sign; the returned function ends that. */
    readonly onSign?: (run: StepRun<C>, tell: () => void) => () => void;
    /** What to do instead with a machine that is on already, without such a sign. */
    readonly whenOn?: (run: StepRun<C>) => Promise<void>;
  } = {},
): Step<C> {
  const { sign, onSign, whenOn, ...rest } = more;
  return {
    ...rest,
    name,
    kind: 'checkable',
    run: async (run) => {
      const machine = await run.machine();
      const before = (await sign?.(run)) ?? null;
      if (before !== null) return done(before);
      if (whenOn && (await run.world.power.state(machine, run.signal)) === 'on') await whenOn(run);
      const told = new AbortController();
      const stop = onSign?.(run, () => told.abort(new Error('the machine reported in')));
      try {
        const signal = AbortSignal.any([run.signal, told.signal]);
        return { evidence: await run.world.power.turn(machine, 'on', signal) };
      } catch (thrown) {
        if (run.signal.aborted) throw thrown;
        // It may have come up, done its work and gone off again between two readings.
        const unconfirmed = thrown instanceof DeviceError && thrown.code === 'power.unconfirmed';
        const seen = unconfirmed || told.signal.aborted ? ((await sign?.(run)) ?? null) : null;
        if (seen === null) throw thrown;
        return done(seen);
      } finally {
        stop?.();
      }
    },
    undo: { run: offOrFence },
    plan: async (run) => [run.world.power.planTurn(await run.machine(), 'on')],
  };
}

/** The boot device; never trusted to last, so it is set again before each boot (law 3). */
export function bootDevice<C extends StepContext>(
  name: string,
  device: BootDevice,
  applies?: Step<C>['applies'],
): Step<C> {
  return {
    ...(applies && { applies }),
    name,
    kind: 'checkable',
    run: async (run) => ({
      evidence: await run.world.power.setBootDevice(await run.machine(), device, run.signal),
    }),
    undo: { none: 'the boot device is set anew before each boot' },
    plan: async (run) => [run.world.power.planBootDevice(await run.machine(), device)],
  };
}

/** Refuses to go on unless the BMC says off at this moment: ports move only under a machine that is off (law 4). */
export async function requireOff(run: StepRun): Promise<void> {
  const machine = await run.machine();
  if ((await run.world.power.state(machine, run.signal)) === 'off') return;
  throw new ServiceError({
    code: 'machine.state',
    retry: 'never',
    what: 'the machine is on; its ports may move only while it is off',
    where: machine.hostname,
    remedy: 'somebody switched it on behind our back: find out who',
  });
}

/** Off, or, where that cannot be confirmed, every port shut and the operation told so. */
export async function offOrFence<C extends StepContext>(run: StepRun<C>): Promise<Outcome<C>> {
  // The fence must come within the time that is kept for undoing, whatever the BMC does with the first half of it.
  const failure = await tryOff(run, milliseconds(run.world.timings.undoBudget / 2));
  if (failure === null) return done('off, confirmed');
  const shut = await fencePorts(run);
  throw new ServiceError({
    code: 'operation.fenced',
    what: `power off could not be confirmed (${failure.message}); ${shut}`,
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
