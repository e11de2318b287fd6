import { databaseOf, type StoreSettings } from './database-of.ts';
import { restoreSqlite, type Restoration, type RestoreOptions } from './restore-backup.ts';

export interface RestoreDatabaseOptions extends RestoreOptions {
  readonly store: StoreSettings;
  /** Where the old contents of a MariaDB database are kept. */
  readonly stateDir: string;
}

/** Puts a backup in the place of the configured database, which no service may use. */
export async function restoreDatabase({
  store,
  stateDir,
  ...options
}: RestoreDatabaseOptions): Promise<Restoration> {
  const place = databaseOf(store);
  if (place.type === 'sqlite') return restoreSqlite({ ...options, file: place.file });
  const { restoreMariadb } = await import('./restore-mariadb.ts');
  return restoreMariadb({ ...options, place, stateDir });
}
