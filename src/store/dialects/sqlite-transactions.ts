import { Mutex } from '../../kernel/concurrency/mutex.ts';
import type { SqliteHandle, SqliteStatement } from '../sqlite-handle.ts';
import type { StatementResult, Transaction, Transactions } from '../transactions.ts';
import { translateSqliteError } from './sqlite-errors.ts';

/**
 * So many transactions of one turn of the event loop are stored by themselves, the others of that turn together: each sync to disk stops
 * the whole process, which hundreds of them at once would do for seconds. A few in a row are one operation's, which waits for them.
 */
const storedAlone = 4;

/** Transactions that are stored with one sync to disk, or not at all. */
interface Group {
  readonly stored: Promise<void>;
  /** Why nothing of it can be stored any more. */
  lost: { readonly error: unknown } | null;
}

/** Room for every shape of statement that the stores compose; what is beyond it is prepared anew. */
const keptStatements = 500;

/**
 * Transactions over the one connection that there is to a SQLite file. Without an order of its own, a transaction begun
 * while another is open would become part of it, and be lost with it although it reported success. So they wait for each
 * other in the order of asking.
 *
 * Statements go to the engine without TypeORM's query runner, whose events and results cost more than most statements.
 */
export class SqliteTransactions implements Transactions {
  readonly #handle: SqliteHandle;
  readonly #refused: (error: unknown, statement: string) => void;
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #turns = new Mutex();
  readonly #transaction: Transaction = {
    // The engine answers at once; its failures are the promise's.
    execute: async (statement, parameters) => this.#execute(statement, parameters),
  };
  /** Transactions of this turn of the event loop so far. */
  #inThisTurn = 0;
  #group: Group | null = null;

  /** @param refused hears of statements that the engine refused */
  constructor(handle: SqliteHandle, refused: (error: unknown, statement: string) => void) {
    this.#handle = handle;
    this.#refused = refused;
  }

  async within<T>(turn: (transaction: Transaction) => Promise<T>): Promise<T> {
    let group: Group | null = null;
    try {
      const result = await this.#turns.run(async () => {
        this.#inThisTurn += 1;
        if (this.#inThisTurn === 1) setImmediate(() => (this.#inThisTurn = 0));
        if (this.#group === null && this.#inThisTurn <= storedAlone) return this.#alone(turn);
        group = this.#group ??= this.#begin();
        return this.#inGroup(group, turn);
      });
      await storing(group);
      return result;
    } catch (error) {
      // What failed by itself is over when its transaction is, as every other: who closes the database waits for that.
      await storing(group).catch(() => undefined);
      throw error;
    }
  }

  async #alone<T>(turn: (transaction: Transaction) => Promise<T>): Promise<T> {
    // With the right to write from the beginning, so that BEGIN is the only statement that can meet a lock. libsql leaves a
    // statement that met one in the middle of its work, and no transaction commits until that same statement runs again;
    // BEGIN always does.
    this.#execute('BEGIN IMMEDIATE', []);
    try {
      const result = await turn(this.#transaction);
      this.#execute('COMMIT', []);
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #begin(): Group {
    this.#execute('BEGIN IMMEDIATE', []);
    const stored = new Promise<void>((resolve, reject) => {
      const store = async (): Promise<void> => {
        const { lost } = group;
        this.#group = null;
        if (lost) throw lost.error;
        try {
          this.#execute('COMMIT', []);
        } catch (error) {
          this.#rollBack();
          throw error;
        }
      };
      setImmediate(() => void this.#turns.run(store).then(resolve, reject));
    });
    // Who waits for it may begin to a moment after it failed.
    stored.catch(() => undefined);
    const group: Group = { stored, lost: null };
    return group;
  }

  async #inGroup<T>(group: Group, turn: (transaction: Transaction) => Promise<T>): Promise<T> {
    if (group.lost) throw group.lost.error;
    this.#execute('SAVEPOINT unit', []);
    try {
      const result = await turn(this.#transaction);
      this.#execute('RELEASE unit', []);
      return result;
    } catch (error) {
      try {
        this.#handle.exec('ROLLBACK TO unit');
        this.#handle.exec('RELEASE unit');
      } catch {
        // SQLite has rolled back the whole group (disk full, I/O error): what was done before in it is lost as well.
        group.lost = { error };
        this.#rollBack();
      }
      throw error;
    }
  }

  #execute(text: string, parameters: unknown[]): StatementResult {
    try {
      const statement = this.#prepared(text);
      if (statement.reader) return { rows: statement.all(...parameters), affected: 0 };
      return { rows: [], affected: statement.run(...parameters).changes };
    } catch (error) {
      this.#refused(error, text);
      throw translateSqliteError(error);
    }
  }

  #prepared(text: string): SqliteStatement {
    const kept = this.#statements.get(text);
    if (kept) return kept;
    const statement = this.#handle.prepare(text);
    if (this.#statements.size < keptStatements) this.#statements.set(text, statement);
    return statement;
  }

  #rollBack(): void {
    try {
      this.#handle.exec('ROLLBACK');
    } catch {
      // After some failures (disk full, I/O error) SQLite has rolled back already and refuses to do so again
      // (sqlite.org/lang_transaction.html); the failure itself is on its way to the caller.
    }
  }
}

async function storing(group: Group | null): Promise<void> {
  await group?.stored;
}
