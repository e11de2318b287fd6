import { ServiceError } from '../../kernel/errors/service-error.ts';
import { BackupWriter, type BackupSummary, type SqlScalar } from './backup-file.ts';
import { migrationTable, portionsOf, tablesOfProcesses, type BackupSource } from './backup-source.ts';

export interface WriteBackupOptions {
  readonly source: BackupSource;
  readonly file: string;
  /** Of csbm. */
  readonly version: string;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Rows so far, and the table that was just read. */
  readonly onProgress?: ((rows: number, table: string) => void) | undefined;
}

/**
 * Writes a backup and reads it back.
 * @throws ServiceError `backup.exists`, `backup.broken` when it does not read back as written, `store.unavailable`
 */
export async function writeBackup(options: WriteBackupOptions): Promise<BackupSummary> {
  const { file, now, onProgress, source, version } = options;
  const all = await source.tables();
  if (!all.has(migrationTable))
    throw new ServiceError({
      code: 'store.unavailable',
      retry: 'operator',
      what: 'this is no database of csbm',
    });
  const tables = new Map(
    [...all].filter(([name]) => name !== migrationTable && !tablesOfProcesses.has(name)),
  );
  const writer = await BackupWriter.create(file, {
    format: 1,
    version,
    at: now,
    database: source.type,
    migrations: (await column(source, migrationTable, ['timestamp', 'name']))
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, name]) => String(name)),
    keys: (await column(source, 'secret_key', ['id'])).map(([id]) => String(id)),
    history: await historyOf(source, all),
    tables: Object.fromEntries(tables),
  });
  try {
    let count = 0;
    for (const [table, columns] of tables) {
      for await (const rows of source.rows(table, columns)) {
        for (const some of portionsOf(rows)) await writer.rows(table, some);
        count += rows.length;
        onProgress?.(count, table);
      }
    }
    return await writer.finish();
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

async function column(
  source: BackupSource,
  table: string,
  columns: readonly string[],
): Promise<(readonly SqlScalar[])[]> {
  const found: (readonly SqlScalar[])[] = [];
  for await (const rows of source.rows(table, columns)) found.push(...rows);
  return found;
}

async function historyOf(
  source: BackupSource,
  tables: ReadonlyMap<string, readonly string[]>,
): Promise<{ databaseId: string; generation: number; starts: number } | null> {
  if (!tables.has('history')) return null;
  const [row] = await column(source, 'history', ['database_id', 'generation', 'starts']);
  if (!row) return null;
  const [databaseId, generation, starts] = row;
  return { databaseId: String(databaseId), generation: Number(generation), starts: Number(starts) };
}
