import type { BackupSource } from './backup-source.ts';
import { sqliteSource } from './sqlite-source.ts';
import { databaseOf, type StoreSettings } from './database-of.ts';

/** Opens the configured database for reading one moment of it. */
export async function openSource(store: StoreSettings): Promise<BackupSource> {
  const place = databaseOf(store);
  if (place.type === 'sqlite') return sqliteSource(place.file);
  const { mariadbSource } = await import('./mariadb-source.ts');
  return mariadbSource(place);
}
