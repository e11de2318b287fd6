import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, type Duration } from '../../plugin-api/index.ts';
import type { Tx } from '../core/storage/storage.ts';
import { formatDuration } from '../kernel/clock/duration.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { Session } from './session.ts';
import { TransactionLost, type Transactions } from './transactions.ts';

interface Unit {
  readonly session: Session;
  readonly tx: Tx;
  /** The first failure of a call that joined: the unit cannot commit any more, whoever catches the failure. */
  failed: { readonly error: unknown } | null;
}

export interface UnitOfWorkOptions {
  readonly transactions: Transactions;
  readonly makeTx: (session: Session) => Tx;
  /** How long one unit may stay open before it is rolled back: it may hold up others. */
  readonly timeout: Duration;
  /**
   * How long a unit is run again while the database is away. Null = others never get in between, because the units of all
   * processes run one after the other: then no unit is ever run again.
   */
  readonly patience: Duration | null;
}

/** Runs of a unit that loses against others: with growing random pauses, of about two seconds in all. */
const contentionRuns = 10;
/**
 * Runs of a unit that ends in a conflict. What it had read may have been changed before it wrote, which it sees when it reads
 * again; a conflict with something that the caller knew before stays one.
 */
const conflictRuns = 4;

/**
 * Units of work: each is one transaction, and whatever is called inside a unit joins it. Where several transactions are open
 * at once, the database may refuse one for the sake of another: then the whole unit runs again, so that a unit must not keep
 * anything of an earlier run.
 */
export class UnitOfWork {
  readonly #options: UnitOfWorkOptions;
  readonly #current = new AsyncLocalStorage<Unit>();
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: UnitOfWorkOptions) {
    this.#options = options;
  }

  async run<T>(work: (tx: Tx, session: Session) => Promise<T>): Promise<T> {
    const outer = this.#current.getStore();
    // Work that was begun in a unit but outlived it starts a unit of its own.
    if (!outer?.session.open) return this.#runTop(work);
    try {
      return await work(outer.tx, outer.session);
    } catch (error) {
      outer.failed ??= { error };
      throw error;
    }
  }

  /** Waits for the units that are under way or asked for; later ones are refused. Idempotent. */
  async close(): Promise<void> {
    if (this.#current.getStore()?.session.open) {
      throw new ServiceError({ code: 'internal.bug', what: 'the storage was closed inside a unit of work' });
    }
    this.#closed = true;
    await Promise.allSettled(this.#running);
    // Before Node 24 every promise of the process looks at every store that was ever used and not given up.
    this.#current.disable();
  }

  async #runTop<T>(work: (tx: Tx, session: Session) => Promise<T>): Promise<T> {
    if (this.#closed) throw new ServiceError({ code: 'store.unavailable', what: 'the storage is closed' });
    const running = this.#options.patience === null ? this.#once(work) : this.#again(work);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #again<T>(work: (tx: Tx, session: Session) => Promise<T>): Promise<T> {
    const began = performance.now();
    for (let runs = 1; ; runs += 1) {
      try {
        return await this.#once(work);
      } catch (error) {
        const pause = this.#pauseAfter(error, runs, performance.now() - began);
        if (pause === null) throw error;
        await sleep(pause);
      }
    }
  }

  /** Milliseconds to wait before the unit runs again; null = it does not. Random, so that two do not meet again. */
  #pauseAfter(error: unknown, runs: number, elapsed: number): number | null {
    const lost = error instanceof TransactionLost ? error.why : null;
    if (lost === 'outage')
      return elapsed < this.#options.patience! ? 50 + Math.random() * Math.min(100 * 2 ** runs, 1_000) : null;
    const conflict = error instanceof CodedError && error.code === 'store.conflict';
    if (lost === null && !conflict) return null;
    if (runs >= (conflict ? conflictRuns : contentionRuns)) return null;
    return Math.random() * Math.min(5 * 2 ** runs, 1_000);
  }

  #once<T>(work: (tx: Tx, session: Session) => Promise<T>): Promise<T> {
    return this.#options.transactions.within(async (transaction) => {
      const session = new Session(transaction);
      const unit: Unit = { session, tx: this.#options.makeTx(session), failed: null };
      try {
        const result = await this.#withinTimeout(() => this.#current.run(unit, () => work(unit.tx, session)));
        if (unit.failed) throw unit.failed.error;
        if (session.lost) throw session.lost;
        return result;
      } catch (error) {
        // Whatever the work made of it: this is why it failed.
        throw session.lost ?? error;
      } finally {
        session.end();
      }
    });
  }

  /**
   * Real time on purpose, not the injected clock: this guards the connection against hung code, also where a test has
   * stopped the clock.
   */
  async #withinTimeout<T>(work: () => Promise<T>): Promise<T> {
    const { timeout } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new ServiceError({
            code: 'store.unavailable',
            what: `a unit of work was not over after ${formatDuration(timeout)} and was rolled back`,
            remedy: 'nothing slow may be awaited inside Storage.run',
          }),
        );
      }, timeout);
    });
    try {
      return await Promise.race([work(), expired]);
    } finally {
      clearTimeout(timer);
    }
  }
}
