import { AsyncLocalStorage } from 'node:async_hooks';
import type { QueryRunner } from 'typeorm';
import type { Duration } from '../../plugin-api/index.ts';
import type { Tx } from '../core/storage/storage.ts';
import { Mutex } from '../kernel/concurrency/mutex.ts';
import { formatDuration } from '../kernel/clock/duration.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { translateSqliteError } from './dialects/sqlite-errors.ts';
import { Session } from './session.ts';

interface Unit {
  readonly session: Session;
  readonly tx: Tx;
  /** The first failure of a call that joined: the unit cannot commit any more, whoever catches the failure. */
  failed: { readonly error: unknown } | null;
}

export interface UnitOfWorkOptions {
  readonly runner: QueryRunner;
  readonly makeTx: (session: Session) => Tx;
  /** How long one unit may stay open before it is rolled back: nothing else can be read or written meanwhile. */
  readonly timeout: Duration;
}

/**
 * Transactions over the one connection that TypeORM has to a SQLite file. Without an order of its own, a transaction begun
 * while another is open becomes a savepoint inside it, and is lost with it although it reported success (typeorm #1884).
 * So top-level units wait for each other in the order of asking, and whatever is called inside a unit joins it.
 */
export class UnitOfWork {
  readonly #options: UnitOfWorkOptions;
  readonly #turns = new Mutex();
  readonly #current = new AsyncLocalStorage<Unit>();
  #closed = false;

  constructor(options: UnitOfWorkOptions) {
    this.#options = options;
  }

  async run<T>(work: (tx: Tx, session: Session) => Promise<T>): Promise<T> {
    const outer = this.#current.getStore();
    // Work that was begun in a unit but outlived it starts a unit of its own.
    if (!outer?.session.open) return this.#turns.run(() => this.#runTop(work));
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
    await this.#turns.run(async () => {
      this.#closed = true;
    });
  }

  async #runTop<T>(work: (tx: Tx, session: Session) => Promise<T>): Promise<T> {
    if (this.#closed) throw new ServiceError({ code: 'store.unavailable', what: 'the storage is closed' });
    const session = new Session(this.#options.runner);
    const unit: Unit = { session, tx: this.#options.makeTx(session), failed: null };
    // TypeORM's own transaction calls keep a depth that goes wrong when a COMMIT fails.
    await this.#say('BEGIN');
    try {
      const result = await this.#withinTimeout(() => this.#current.run(unit, () => work(unit.tx, session)));
      if (unit.failed) throw unit.failed.error;
      session.end();
      await this.#say('COMMIT');
      return result;
    } catch (error) {
      session.end();
      await this.#rollBack();
      throw error;
    }
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

  async #say(statement: string): Promise<void> {
    try {
      await this.#options.runner.query(statement);
    } catch (error) {
      throw translateSqliteError(error);
    }
  }

  async #rollBack(): Promise<void> {
    try {
      await this.#options.runner.query('ROLLBACK');
    } catch {
      // After some failures (disk full, I/O error) SQLite has rolled back already and refuses to do so again
      // (sqlite.org/lang_transaction.html); the failure itself is on its way to the caller.
    }
  }
}
