import { DeviceError, type BootDevice } from '../../../plugin-api/index.ts';
import { done, type Step, type StepContext, type StepRun } from '../journal/step.ts';
import { offOrFence } from './off-or-fence.ts';

/** Off, confirmed by reading. */
export function powerOff<C extends StepContext>(
  name: string,
  more: Partial<Pick<Step<C>, 'applies' | 'prepare'>> = {},
): Step<C> {
  return {
    ...more,
    name,
    kind: 'checkable',
    run: async (run) => run.world.power.turned(await run.machine(), 'off', run.signal),
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
    /** The boot device of the step before, which is set again where that was too long ago, or by another process. */
    readonly from?: BootDevice;
  } = {},
): Step<C> {
  const { sign, onSign, whenOn, from, ...rest } = more;
  return {
    ...rest,
    name,
    kind: 'checkable',
    run: async (run) => {
      const machine = await run.machine();
      const before = (await sign?.(run)) ?? null;
      if (before !== null) return done(before);
      if (whenOn && (await run.world.power.state(machine, run.signal)) === 'on') await whenOn(run);
      else if (from) await run.world.power.ensureBootDevice(machine, from, run.signal);
      const told = new AbortController();
      const stop = onSign?.(run, () => told.abort(new Error('the machine reported in')));
      try {
        const signal = AbortSignal.any([run.signal, told.signal]);
        return await run.world.power.turned(machine, 'on', signal);
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

/** The boot device; never trusted to last, so it is set again before each boot (law 3), and nobody has to know that it was begun. */
export function bootDevice<C extends StepContext>(
  name: string,
  device: BootDevice,
  applies?: Step<C>['applies'],
): Step<C> {
  return {
    ...(applies && { applies }),
    name,
    kind: 'checkable',
    noIntent: true,
    run: async (run) => ({
      evidence: await run.world.power.setBootDevice(await run.machine(), device, run.signal),
    }),
    undo: { none: 'the boot device is set anew before each boot' },
    plan: async (run) => [run.world.power.planBootDevice(await run.machine(), device)],
  };
}
