import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2';
import { CodedError } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { toSqlValue } from '../sql-value.ts';
import type { StatementResult, Transaction, Transactions } from '../transactions.ts';
import { connectionGone, translateMariadbError } from './mariadb-errors.ts';

/** Transactions on a pool of connections: as many at once as the pool has. */
export class MariadbTransactions implements Transactions {
  readonly #pool: Pool;
  #instance: string | null = null;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** See `SqlStorage.fenceBy`. */
  fenceBy(instance: string | null): void {
    this.#instance = instance;
  }

  async within<T>(turn: (transaction: Transaction) => Promise<T>): Promise<T> {
    const lease = new Lease(await this.#connect());
    try {
      await lease.begin();
      const result = await turn(lease);
      if (lease.wrote) {
        if (this.#instance !== null) await this.#fence(lease, this.#instance);
        await lease.commit();
      } else lease.end();
      return result;
    } catch (error) {
      await lease.rollBack();
      throw error;
    } finally {
      lease.release();
    }
  }

  /**
   * The row of the instance stays locked until the transaction is over: it is declared gone before this, and nothing is stored, or
   * after it. It comes last, so that the row is locked for a moment only, and shared, so that units do not wait for each other.
   */
  async #fence(lease: Lease, instance: string): Promise<void> {
    const statement = 'SELECT state FROM `instance` WHERE id = ? LOCK IN SHARE MODE';
    const { rows } = await lease.execute(statement, [instance]);
    const state = rows[0]?.['state'];
    if (state === 'alive' || state === 'draining') return;
    throw new ServiceError({
      code: 'instance.gone',
      what: 'others declared this instance gone and took its work over: nothing more is stored in its name',
      where: instance,
    });
  }

  #connect(): Promise<PoolConnection> {
    return new Promise((resolve, reject) => {
      this.#pool.getConnection((error, connection) => {
        if (error) reject(translateMariadbError(error));
        else resolve(connection);
      });
    });
  }
}

/** Connections on which a transaction begins by itself, with the first statement after the end of the last one. */
const beginning = new WeakSet<PoolConnection>();

/** One connection while a transaction has it. */
class Lease implements Transaction {
  readonly #connection: PoolConnection;
  #pending = 0;
  #usable = true;
  #wrote = false;

  constructor(connection: PoolConnection) {
    this.#connection = connection;
  }

  /** Whether there is anything to commit. */
  get wrote(): boolean {
    return this.#wrote;
  }

  /**
   * As a prepared statement: the server gets values apart from the text, so that nothing has to be escaped. Each is prepared
   * once per connection.
   */
  execute(statement: string, parameters: unknown[]): Promise<StatementResult> {
    this.#wrote ||= !statement.startsWith('SELECT');
    return this.#ask((done) => this.#connection.execute(statement, parameters.map(toSqlValue), done));
  }

  /** Asks nothing of the server but once for each connection: a BEGIN for each transaction would be waited for. */
  async begin(): Promise<void> {
    if (beginning.has(this.#connection)) return;
    await this.#say('SET autocommit = 0');
    beginning.add(this.#connection);
  }

  /** Ends a transaction that only read; nobody waits for the answer, whatever it is. */
  end(): void {
    this.#say('COMMIT').catch(() => undefined);
  }

  /** COMMIT, ROLLBACK: what cannot be prepared, or need not be. */
  #say(statement: string): Promise<StatementResult> {
    return this.#ask((done) => this.#connection.query(statement, done));
  }

  async commit(): Promise<void> {
    try {
      await this.#say('COMMIT');
    } catch (error) {
      // An answer that refuses means that nothing is stored. Without an answer nobody can tell whether COMMIT arrived.
      if (this.#usable || !this.#wrote) throw error;
      throw new ServiceError({
        code: 'store.outcome-unknown',
        what: 'the connection to the database broke at COMMIT: the change may be stored or not',
        said: error instanceof CodedError ? error.said : undefined,
        cause: error,
      });
    }
  }

  async rollBack(): Promise<void> {
    // A statement of work that was given up still waits for its answer: only the end of the connection ends it.
    if (this.#pending > 0) this.#usable = false;
    if (!this.#usable) return;
    try {
      await this.#say('ROLLBACK');
    } catch {
      // The server rolls back what a connection leaves behind.
      this.#usable = false;
    }
  }

  release(): void {
    if (this.#usable) this.#connection.release();
    else this.#connection.destroy();
  }

  #ask(begin: (done: Done) => void): Promise<StatementResult> {
    return new Promise((resolve, reject) => {
      this.#pending += 1;
      const done: Done = (error, result) => {
        this.#pending -= 1;
        if (error) {
          if (connectionGone(error)) this.#usable = false;
          reject(translateMariadbError(error));
        } else resolve(toResult(result));
      };
      try {
        begin(done);
      } catch (error) {
        this.#pending -= 1;
        reject(translateMariadbError(error));
      }
    });
  }
}

type Done = (error: Error | null, result: unknown) => void;

function toResult(result: unknown): StatementResult {
  if (Array.isArray(result)) return { rows: result as RowDataPacket[], affected: 0 };
  return { rows: [], affected: (result as ResultSetHeader).affectedRows };
}
