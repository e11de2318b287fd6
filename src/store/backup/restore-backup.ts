import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DataSource } from 'typeorm';
import { migrations } from '../../../migrations/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { loadKeyRing, type KeySource } from '../secrets/key-ring.ts';
import { takeProcessLock } from '../process-lock.ts';
import {
  defaultSqliteEngine,
  openSqliteHandle,
  type SqliteEngine,
  type SqliteHandle,
} from '../sqlite-handle.ts';
import { readBackup, type BackupManifest, type BackupSummary } from './backup-file.ts';
import { quoted } from './sqlite-source.ts';

export interface RestoreOptions {
  /** The backup. */
  readonly from: string;
  readonly key: KeySource;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly onProgress?: ((rows: number, table: string) => void) | undefined;
}

export interface RestoreSqliteOptions extends RestoreOptions {
  /** The database file; what is there is kept under another name. */
  readonly file: string;
  readonly engine?: SqliteEngine;
}

export interface Restoration {
  readonly backup: BackupSummary;
  /** Where the database is that was there before, or null. */
  readonly aside: string | null;
}

/**
 * Whether a backup can be restored here: whole, of no newer version, and its key at hand.
 * @throws ServiceError `backup.broken`, `backup.newer`, `store.secret`
 */
export async function checkBackup(from: string, key: KeySource): Promise<BackupSummary> {
  const found = await readBackup(from);
  refuseNewer(found.manifest, from);
  const ring = loadKeyRing(key, false);
  const missing = found.manifest.keys.filter((id) => !ring.key(id));
  if (missing.length > 0)
    throw new ServiceError({
      code: 'store.secret',
      what: `its secrets are sealed with the key ${missing.join(', ')}, but only ${ring.ids.join(', ')} is at hand`,
      where: from,
      remedy: 'put the key file in place that was there when the backup was made',
    });
  return found;
}

/**
 * Puts a backup in the place of a SQLite database that no process uses. The new one is whole before the old one is moved aside.
 * @throws ServiceError `store.locked` when a service runs, and as {@link checkBackup}
 */
export async function restoreSqlite(options: RestoreSqliteOptions): Promise<Restoration> {
  const { engine = defaultSqliteEngine(), file, from, key } = options;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const lock = takeProcessLock(file, engine);
  const draft = `${file}.restoring`;
  try {
    await checkBackup(from, key);
    removeDatabase(draft);
    closeSync(openSync(draft, 'w', 0o600));
    const backup = await fillSqlite(draft, engine, options);
    chmodSync(draft, 0o600);
    const aside = existsSync(file) ? `${file}.before-restore-${stamp(options.now)}` : null;
    // The log of a database belongs to it by its name: they move together.
    if (aside !== null)
      for (const end of databaseEnds) if (existsSync(file + end)) renameSync(file + end, aside + end);
    renameSync(draft, file);
    syncFolderOf(file);
    return { backup, aside };
  } finally {
    removeDatabase(draft);
    lock.release();
  }
}

const databaseEnds = ['', '-wal', '-shm'] as const;

async function fillSqlite(
  file: string,
  engine: SqliteEngine,
  { from, now, onProgress }: RestoreSqliteOptions,
): Promise<BackupSummary> {
  const opened: { handle?: SqliteHandle; source?: DataSource } = {};
  let inserts: ReturnType<typeof prepareInserts> = new Map();
  try {
    let rows = 0;
    const backup = await readBackup(from, {
      manifest: async (manifest) => {
        opened.source = new DataSource({
          type: 'better-sqlite3',
          database: file,
          driver: function StrictHandle(path: string) {
            return (opened.handle = openSqliteHandle(path, { engine }));
          },
          entities: [],
          migrations: migrationsOf(manifest),
          migrationsTableName: 'migration',
        });
        await opened.source.initialize();
        await opened.source.runMigrations({ transaction: 'each' });
        opened.handle!.pragma('foreign_keys = OFF');
        opened.handle!.exec('BEGIN');
        // What the migrations themselves put there is in the backup too.
        for (const table of Object.keys(manifest.tables)) opened.handle!.exec(`DELETE FROM ${quoted(table)}`);
        inserts = prepareInserts(opened.handle!, manifest);
      },
      rows: (table, values) => {
        const insert = inserts.get(table)!;
        for (const row of values) insert.run(...row);
        rows += values.length;
        onProgress?.(rows, table);
      },
    });
    const handle = opened.handle!;
    for (const [statement, values] of restoredMark(backup.manifest, now))
      handle.prepare(statement).run(...values);
    handle.exec('COMMIT');
    const broken = handle.pragma('foreign_key_check').length + handle.pragma('quick_check').length - 1;
    if (broken > 0)
      throw new ServiceError({
        code: 'backup.broken',
        what: 'what it holds does not fit together',
        where: from,
      });
    return backup;
  } finally {
    await opened.source?.destroy();
  }
}

function prepareInserts(
  handle: SqliteHandle,
  manifest: BackupManifest,
): ReadonlyMap<string, ReturnType<SqliteHandle['prepare']>> {
  return new Map(
    Object.entries(manifest.tables).map(([table, columns]) => {
      const places = columns.map(() => '?').join(', ');
      const statement = `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(', ')}) VALUES (${places})`;
      return [table, handle.prepare(statement)];
    }),
  );
}

/** The statements that make a service compare with the devices before it acts. */
export function restoredMark(
  manifest: BackupManifest,
  now: number,
): readonly (readonly [string, readonly (string | number)[]])[] {
  const why = `restored from a backup of ${new Date(manifest.at).toISOString()}`;
  const restored = JSON.stringify({
    at: now,
    why,
    backupAt: manifest.at,
    comparedAt: null,
    acceptedAt: null,
  });
  if (manifest.history) return [['UPDATE history SET restored = ?', [restored]]];
  return [
    [
      'INSERT INTO history (id, database_id, generation, starts, restored, version) VALUES (?, ?, 1, 0, ?, 1)',
      ['current', randomUUID(), restored],
    ],
  ];
}

/** The migrations that made the backup's schema; those that came since are for the service. */
export function migrationsOf(manifest: BackupManifest): (typeof migrations)[number][] {
  const names = new Set<string>(manifest.migrations);
  return migrations.filter((Migration) => names.has(new Migration().name));
}

function refuseNewer(manifest: BackupManifest, where: string): void {
  const known = new Set<string>(migrations.map((Migration) => new Migration().name));
  const unknown = manifest.migrations.filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new ServiceError({
    code: 'backup.newer',
    what: `it was made by csbm ${manifest.version}, whose schema this version does not know (${unknown.join(', ')})`,
    where,
  });
}

/** `20261122T093000Z` */
export function stamp(now: number): string {
  return new Date(now).toISOString().slice(0, 19).replaceAll(/[-:]/g, '') + 'Z';
}

function syncFolderOf(file: string): void {
  const folder = openSync(dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function removeDatabase(file: string): void {
  for (const end of databaseEnds) rmSync(file + end, { force: true });
}
