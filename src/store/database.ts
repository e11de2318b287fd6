import type { DataSource } from 'typeorm';
import type { Duration } from '../../plugin-api/index.ts';
import type { KeyRing } from './secrets/key-ring.ts';
import type { Transactions } from './transactions.ts';

/** A database that is open, with its schema brought up to date. */
export interface Database {
  readonly source: DataSource;
  readonly transactions: Transactions;
  readonly ring: KeyRing;
  /** How long a unit of work is run again while the database is away; null = units are run once. */
  readonly patience: Duration | null;
  /** See `SqlStorage.fenceBy`; null where one process has the database to itself. */
  readonly fenceBy: ((instance: string | null) => void) | null;
  /** Lets other processes in that want to open it; until then this one is alone in changing what is to be there once. */
  ready(): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}
