import { ServiceError } from '../kernel/errors/service-error.ts';
import { TransactionLost, type StatementResult, type Transaction } from './transactions.ts';

/** The statements of one unit of work. When the unit is over, whoever still holds its `Tx` can do nothing with it. */
export class Session {
  readonly #transaction: Transaction;
  #open = true;
  #lost: TransactionLost | null = null;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Why the transaction is gone already, if so: whoever caught the failure must not go on as if it were not. */
  get lost(): TransactionLost | null {
    return this.#lost;
  }

  end(): void {
    this.#open = false;
  }

  /** @throws CodedError as the dialect translates it. */
  async execute(statement: string, parameters: unknown[]): Promise<StatementResult> {
    if (!this.#open) {
      throw new ServiceError({
        code: 'internal.bug',
        what: 'a unit of work was used after its end',
        remedy: 'await everything that is begun inside Storage.run',
      });
    }
    // The database has rolled back by itself: another statement would stand alone, and be stored by itself.
    if (this.#lost) throw this.#lost;
    try {
      return await this.#transaction.execute(statement, parameters);
    } catch (error) {
      if (error instanceof TransactionLost) this.#lost ??= error;
      throw error;
    }
  }
}
