import { existsSync } from 'node:fs';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { translateSqliteError } from '../dialects/sqlite-errors.ts';
import { openSqliteHandle, type SqliteEngine, type SqliteHandle } from '../sqlite-handle.ts';
import type { SqlScalar } from './backup-file.ts';
import { rowsAtOnce, type BackupSource } from './backup-source.ts';

/**
 * A SQLite database, also one that a service uses: a transaction that only reads sees one moment, and holds up nobody.
 * @throws ServiceError `store.unavailable`
 */
export function sqliteSource(file: string, engine?: SqliteEngine): BackupSource {
  if (!existsSync(file))
    throw new ServiceError({
      code: 'store.unavailable',
      retry: 'operator',
      what: 'there is no database',
      where: file,
    });
  const handle = opened(file, engine);
  return {
    type: 'sqlite',
    tables: async () => {
      const names = handle
        .prepare(
          `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
        )
        .all();
      return new Map(
        names.map(({ name }) => {
          const columns = handle.pragma(`table_info(${quoted(String(name))})`);
          return [String(name), columns.map((column) => String(column['name']))] as const;
        }),
      );
    },
    rows: async function* (table, columns) {
      const list = columns.map(quoted).join(', ');
      const statement = handle.prepare(
        `SELECT rowid AS row_id_of_backup, ${list} FROM ${quoted(table)} WHERE rowid > ? ORDER BY rowid LIMIT ${rowsAtOnce}`,
      );
      for (let last = -1; ;) {
        const rows = translated(() => statement.all(last));
        if (rows.length > 0) yield rows.map((row) => columns.map((column) => row[column] as SqlScalar));
        if (rows.length < rowsAtOnce) return;
        last = Number(rows.at(-1)!['row_id_of_backup']);
      }
    },
    close: async () => {
      handle.exec('ROLLBACK');
      handle.close();
    },
  };
}

function opened(file: string, engine: SqliteEngine | undefined): SqliteHandle {
  const handle = translated(() => openSqliteHandle(file, { ...(engine && { engine }), journal: 'keep' }));
  try {
    handle.exec('BEGIN');
    // The moment is that of the first reading.
    handle.prepare('SELECT COUNT(*) AS tables FROM sqlite_master').all();
    return handle;
  } catch (error) {
    handle.close();
    throw translateSqliteError(error);
  }
}

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw translateSqliteError(thrown);
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
