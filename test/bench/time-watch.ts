import type * as force10 from '../../src/drivers/switch/force10-cli/force10-session.ts';
import type * as clock from '../../src/kernel/clock/system-clock.ts';
import type * as power from '../../src/operations/power/power-service.ts';
import type * as mariadb from '../../src/store/dialects/mariadb-transactions.ts';
import type * as sqlite from '../../src/store/dialects/sqlite-transactions.ts';
import type * as session from '../../src/store/session.ts';
import { compiled } from './compiled.ts';

export interface TimePart {
  readonly count: number;
  /** Milliseconds. */
  readonly ms: number;
}

type Call = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** Measures, from now on, how long calls of the service's own parts take; those of one kind that overlap are counted each. */
export async function watchTime(): Promise<{ readonly take: () => Readonly<Record<string, TimePart>> }> {
  let parts: Record<string, { count: number; ms: number }> = {};
  const add = (what: string, began: number): void => {
    const part = (parts[what] ??= { count: 0, ms: 0 });
    part.count += 1;
    part.ms += performance.now() - began;
  };
  const watch = (prototype: object, name: string, what: string): void => {
    const calls = prototype as Record<string, Call>;
    const original = calls[name]!;
    calls[name] = function (...args) {
      const began = performance.now();
      return original.apply(this, args).finally(() => add(what, began));
    };
  };
  const units = 'store: units, waiting included';
  const { SqliteTransactions } = await compiled<typeof sqlite>('store/dialects/sqlite-transactions');
  const { MariadbTransactions } = await compiled<typeof mariadb>('store/dialects/mariadb-transactions');
  const { Session } = await compiled<typeof session>('store/session');
  const { Force10Session } = await compiled<typeof force10>('drivers/switch/force10-cli/force10-session');
  const { PowerService } = await compiled<typeof power>('operations/power/power-service');
  const { SystemClock } = await compiled<typeof clock>('kernel/clock/system-clock');
  watch(SqliteTransactions.prototype, 'within', units);
  watch(MariadbTransactions.prototype, 'within', units);
  watch(Session.prototype, 'execute', 'store: statements');
  for (const call of ['read', 'apply', 'save']) watch(Force10Session.prototype, call, `switch: ${call}`);
  for (const call of ['state', 'turn', 'setBootDevice']) watch(PowerService.prototype, call, `bmc: ${call}`);
  const calls = SystemClock.prototype as unknown as Record<'sleep', Call>;
  const { sleep } = calls;
  calls.sleep = function (...args) {
    const began = performance.now();
    // One that was broken off was a deadline, or patience.
    return sleep.apply(this, args).then(() => add('pauses to their end', began));
  };
  return {
    take: () => {
      const taken = parts;
      parts = {};
      return taken;
    },
  };
}
