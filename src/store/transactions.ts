import { ServiceError } from '../kernel/errors/service-error.ts';

export interface StatementResult {
  readonly rows: readonly Record<string, unknown>[];
  /** Rows that a change matched, also those that had the values already. */
  readonly affected: number;
}

/** A transaction that has begun. */
export interface Transaction {
  /** @throws CodedError as the dialect translates it; {@link TransactionLost} when nothing more can be done in it. */
  execute(statement: string, parameters: unknown[]): Promise<StatementResult>;
}

/** Where units of work get their transactions from. */
export interface Transactions {
  /**
   * Runs the turn in a transaction of its own, and commits when it resolves; else nothing of it is stored.
   * @throws what the turn throws; else a CodedError, `store.outcome-unknown` when it cannot be told whether it committed
   */
  within<T>(turn: (transaction: Transaction) => Promise<T>): Promise<T>;
}

/** Nothing of the transaction is stored, through no fault of its own: the whole of it may run again. */
export class TransactionLost extends ServiceError {
  /** `contention`: others wanted the same rows. `outage`: the database went away, or is not there. */
  readonly why: 'contention' | 'outage';

  constructor(why: 'contention' | 'outage', said: string, cause?: unknown) {
    super({
      code: 'store.unavailable',
      what:
        why === 'contention' ? 'others hold the same rows of the database' : 'the database does not answer',
      said,
      ...(cause !== undefined && { cause }),
    });
    this.why = why;
  }
}
