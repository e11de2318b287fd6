import type { SqlScalar } from './backup-file.ts';

/** A database as it was at one moment, whoever writes to it meanwhile. Nothing is changed in it. */
export interface BackupSource {
  readonly type: 'sqlite' | 'mariadb';
  /** Columns of every table. */
  tables(): Promise<ReadonlyMap<string, readonly string[]>>;
  /** All rows of a table, some at a time, values in the order of the columns. */
  rows(table: string, columns: readonly string[]): AsyncIterable<readonly (readonly SqlScalar[])[]>;
  close(): Promise<void>;
}

/** Rows that are read, and written, at once. */
export const rowsAtOnce = 500;

/** What belongs to the processes that run, not to what they know: a restored database begins without it. */
export const tablesOfProcesses: ReadonlySet<string> = new Set([
  'instance',
  'instance_beat',
  'lease',
  'switch_request',
  'oauth_nonce',
]);

/** Made by the migrations themselves. */
export const migrationTable = 'migration';
