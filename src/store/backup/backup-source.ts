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

/** Rows that are read at once. Each may hold a user's data, of a megabyte. */
export const rowsAtOnce = 100;

/** Characters that are written, or inserted, at once: far less than a database takes in one statement (MariaDB: 16 MiB). */
const textAtOnce = 2 * 2 ** 20;

/** The rows in portions, none of which is larger, unless one row alone is. */
export function* portionsOf(
  rows: readonly (readonly SqlScalar[])[],
): Generator<readonly (readonly SqlScalar[])[]> {
  let portion: (readonly SqlScalar[])[] = [];
  let size = 0;
  for (const row of rows) {
    const length = row.reduce<number>((sum, value) => sum + String(value).length, 0);
    if (portion.length > 0 && size + length > textAtOnce) {
      yield portion;
      portion = [];
      size = 0;
    }
    portion.push(row);
    size += length;
  }
  if (portion.length > 0) yield portion;
}

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
