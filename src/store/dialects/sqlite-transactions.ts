import type { QueryRunner } from 'typeorm';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import type { StatementResult, Transaction, Transactions } from '../transactions.ts';
import { translateSqliteError } from './sqlite-errors.ts';

/**
 * Transactions over the one connection that TypeORM has to a SQLite file. Without an order of its own, a transaction begun
 * while another is open becomes a savepoint inside it, and is lost with it although it reported success (typeorm #1884).
 * So they wait for each other in the order of asking.
 */
export class SqliteTransactions implements Transactions {
  readonly #runner: QueryRunner;
  readonly #turns = new Mutex();

  constructor(runner: QueryRunner) {
    this.#runner = runner;
  }

  within<T>(turn: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      // TypeORM's own transaction calls keep a depth that goes wrong when a COMMIT fails.
      await this.#execute('BEGIN', []);
      try {
        const result = await turn({
          execute: (statement, parameters) => this.#execute(statement, parameters),
        });
        await this.#execute('COMMIT', []);
        return result;
      } catch (error) {
        await this.#rollBack();
        throw error;
      }
    });
  }

  async #execute(statement: string, parameters: unknown[]): Promise<StatementResult> {
    try {
      const result = await this.#runner.query(statement, parameters, true);
      return { rows: result.records, affected: result.affected ?? 0 };
    } catch (error) {
      throw translateSqliteError(error);
    }
  }

  async #rollBack(): Promise<void> {
    try {
      await this.#runner.query('ROLLBACK');
    } catch {
      // After some failures (disk full, I/O error) SQLite has rolled back already and refuses to do so again
      // (sqlite.org/lang_transaction.html); the failure itself is on its way to the caller.
    }
  }
}
