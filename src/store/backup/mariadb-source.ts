import type { Connection } from 'mysql2';
import { askMariadb, connectMariadb, endMariadb, type MariadbPlaceOptions } from '../open-mariadb.ts';
import type { SqlScalar } from './backup-file.ts';
import { rowsAtOnce, type BackupSource } from './backup-source.ts';

/** A MariaDB database, also one that services use: a consistent snapshot, on one connection of its own. */
export async function mariadbSource(options: MariadbPlaceOptions): Promise<BackupSource> {
  const connection = await connectMariadb(options);
  try {
    await askMariadb(connection, 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await askMariadb(connection, 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  } catch (error) {
    connection.destroy();
    throw error;
  }
  return {
    type: 'mariadb',
    tables: () => mariadbTables(connection),
    rows: (table, columns) => mariadbRows(connection, table, columns),
    close: () => endMariadb(connection),
  };
}

/** Columns of every table of the database. */
export async function mariadbTables(connection: Connection): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  const rows = await askMariadb(
    connection,
    `SELECT table_name AS 'table', column_name AS 'column' FROM information_schema.columns
      WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position`,
  );
  for (const row of rows) {
    const { table, column } = row as { readonly table: string; readonly column: string };
    found.set(table, [...(found.get(table) ?? []), column]);
  }
  return found;
}

async function* mariadbRows(
  connection: Connection,
  table: string,
  columns: readonly string[],
): AsyncGenerator<readonly (readonly SqlScalar[])[]> {
  const sql = `SELECT ${columns.map(inBackticks).join(', ')} FROM ${inBackticks(table)}`;
  let batch: (readonly SqlScalar[])[] = [];
  for await (const row of connection.query({ sql, rowsAsArray: true }).stream()) {
    batch.push(row as readonly SqlScalar[]);
    if (batch.length < rowsAtOnce) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

export function inBackticks(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
