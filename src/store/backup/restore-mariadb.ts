import { join } from 'node:path';
import type { Connection } from 'mysql2';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import {
  askMariadb,
  connectMariadb,
  endMariadb,
  lockMariadb,
  migrateMariadb,
  type MariadbPlaceOptions,
} from '../open-mariadb.ts';
import { readBackup, type BackupManifest } from './backup-file.ts';
import { migrationTable, portionsOf } from './backup-source.ts';
import { inBackticks, mariadbSource, mariadbTables } from './mariadb-source.ts';
import {
  checkBackup,
  migrationsOf,
  restoredMark,
  stamp,
  type Restoration,
  type RestoreOptions,
} from './restore-backup.ts';
import { writeBackup } from './write-backup.ts';

export interface RestoreMariadbOptions extends RestoreOptions {
  readonly place: MariadbPlaceOptions;
  /** Where the old contents are kept, as a backup. */
  readonly stateDir: string;
}

/**
 * Puts a backup in the place of what a MariaDB database holds: all in one transaction. The schema must be that of the backup, or
 * the database empty; nobody else may be connected.
 */
export async function restoreMariadb(options: RestoreMariadbOptions): Promise<Restoration> {
  const { from, key, now, place, stateDir } = options;
  const checked = await checkBackup(from, key);
  const connection = await connectMariadb(place);
  try {
    await lockMariadb(connection, place);
    await refuseOthers(connection, place.database);
    const there = await mariadbTables(connection);
    let aside: string | null = null;
    if (there.size === 0) await migrateMariadb(connection, place, migrationsOf(checked.manifest));
    else {
      await refuseOtherSchema(connection, there, checked.manifest, place.database);
      aside = join(stateDir, `before-restore-${stamp(now)}.csbm-backup`);
      const source = await mariadbSource(place);
      try {
        await writeBackup({ source, file: aside, version: checked.manifest.version, now });
      } finally {
        await source.close();
      }
    }
    await fill(connection, options);
    return { backup: checked, aside };
  } finally {
    await endMariadb(connection);
  }
}

async function fill(connection: Connection, { from, now, onProgress }: RestoreMariadbOptions): Promise<void> {
  await askMariadb(
    connection,
    `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION foreign_key_checks = 0`,
  );
  await askMariadb(connection, 'START TRANSACTION');
  const everything = [...(await mariadbTables(connection)).keys()].filter(
    (table) => table !== migrationTable,
  );
  for (const table of everything) await askMariadb(connection, `DELETE FROM ${inBackticks(table)}`);
  const columns = new Map<string, string>();
  let count = 0;
  const { manifest } = await readBackup(from, {
    manifest: ({ tables }) => {
      for (const [table, names] of Object.entries(tables))
        columns.set(table, `${inBackticks(table)} (${names.map(inBackticks).join(', ')})`);
    },
    rows: async (table, rows) => {
      for (const some of portionsOf(rows))
        await askMariadb(connection, `INSERT INTO ${columns.get(table)!} VALUES ?`, [some]);
      count += rows.length;
      onProgress?.(count, table);
    },
  });
  for (const [statement, values] of restoredMark(manifest, now))
    await askMariadb(connection, statement, [...values]);
  await askMariadb(connection, 'COMMIT');
}

async function refuseOthers(connection: Connection, database: string): Promise<void> {
  const rows = await askMariadb(
    connection,
    'SELECT COUNT(*) AS others FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
  );
  const others = Number(rows[0]?.['others'] ?? 0);
  if (others === 0) return;
  throw new ServiceError({
    code: 'store.locked',
    what: `${others} other connections to the database ${database} are open`,
    remedy: 'stop every csbm that uses it, and whatever else is connected',
  });
}

async function refuseOtherSchema(
  connection: Connection,
  there: ReadonlyMap<string, readonly string[]>,
  manifest: BackupManifest,
  database: string,
): Promise<void> {
  const rows = there.has(migrationTable)
    ? await askMariadb(connection, `SELECT name FROM ${migrationTable}`)
    : [];
  const names = rows.map((row) => String(row['name'])).sort();
  if (JSON.stringify(names) === JSON.stringify([...manifest.migrations].sort())) return;
  throw new ServiceError({
    code: 'store.unavailable',
    retry: 'operator',
    what: `the schema of the database ${database} is not that of the backup`,
    remedy: 'restore into an empty database, and let csbm use that; the service brings its schema up to date',
  });
}
