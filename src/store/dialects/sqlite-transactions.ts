import { Mutex } from '../../kernel/concurrency/mutex.ts';
import type { SqliteHandle, SqliteStatement } from '../sqlite-handle.ts';
import type { StatementResult, Transaction, Transactions } from '../transactions.ts';
import { translateSqliteError } from './sqlite-errors.ts';

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

  /** @param refused hears of statements that the engine refused */
  constructor(handle: SqliteHandle, refused: (error: unknown, statement: string) => void) {
    this.#handle = handle;
    this.#refused = refused;
  }

  within<T>(turn: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      // With the right to write from the beginning, so that BEGIN is the only statement that can meet a lock. libsql leaves a
      // statement that met one in the middle of its work, and no transaction commits until that same statement runs again;
      // BEGIN always does.
      this.#execute('BEGIN IMMEDIATE', []);
      try {
        const result = await turn({
          // The engine answers at once; its failures are the promise's.
          execute: async (statement, parameters) => this.#execute(statement, parameters),
        });
        this.#execute('COMMIT', []);
        return result;
      } catch (error) {
        this.#rollBack();
        throw error;
      }
    });
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
