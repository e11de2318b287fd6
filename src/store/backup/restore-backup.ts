import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DataSource } from 'typeorm';
import { migrations } from '../../../migrations/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { makeFolder } from '../../kernel/files/make-folder.ts';
import { sqliteErrorName, translateSqliteError } from '../dialects/sqlite-errors.ts';
import { loadKeyRing, type KeySource } from '../secrets/key-ring.ts';
import { placeOf, takeProcessLock } from '../process-lock.ts';
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
 * Puts a backup in the place of a SQLite database that no process uses. The new one is whole before it takes the old one's name; until
 * then the old one has it.
 * @throws ServiceError `store.locked` when a service runs, and as {@link checkBackup}
 */
export async function restoreSqlite(options: RestoreSqliteOptions): Promise<Restoration> {
  try {
    return await replace(options);
  } catch (thrown) {
    throw translateSqliteError(thrown);
  }
}

async function replace(options: RestoreSqliteOptions): Promise<Restoration> {
  const { engine = defaultSqliteEngine(), from, key } = options;
  makeFolder(dirname(options.file));
  const file = placeOf(options.file);
  makeLock(file);
  const lock = takeProcessLock(file, engine);
  const draft = `${file}.restoring`;
  try {
    await checkBackup(from, key);
    removeDraft(draft);
    closeSync(openSync(draft, 'w', 0o600));
    const backup = await fillSqlite(draft, engine, options);
    refuseOpenLog(draft, 'the restored database could not be put into one file');
    chmodSync(draft, 0o600);
    giveToOwner(file, [draft]);
    const aside = exchange(draft, file, engine, options.now);
    sync(dirname(file));
    return { backup, aside };
  } finally {
    removeDraft(draft);
    lock.release();
  }
}

const databaseEnds = ['', '-wal', '-shm'] as const;

/** Of the old database while it is copied. */
const oldEnd = '-old';

/**
 * The draft takes the name of the database; gives the name under which that is kept. A crash leaves the one or the other whole under
 * the name; only of one that was broken before the log may by then lie with the name under which it is kept.
 */
function exchange(draft: string, file: string, engine: SqliteEngine, now: number): string | null {
  const there = existsSync(file);
  if (there) foldLog(file, engine);
  const aside = unusedName(`${file}.before-restore-${stamp(now)}`);
  if (there) keepAs(file, aside, draft + oldEnd);
  // SQLite takes whatever log has the name of a database for its log, also one that somebody left behind.
  for (const end of databaseEnds.slice(1)) if (existsSync(file + end)) renameSync(file + end, aside + end);
  renameSync(draft, file);
  return there ? aside : null;
}

/**
 * All that a database knows into its one file: a file and its log cannot be moved at once. One that is too broken for that is kept as
 * it is, with its log unless SQLite sees nothing in that.
 */
function foldLog(file: string, engine: SqliteEngine): void {
  try {
    openSqliteHandle(file, { engine, busyTimeout: 1_000 }).close();
  } catch (thrown) {
    if (/^SQLITE_(CORRUPT|NOTADB|IOERR)/.test(sqliteErrorName(thrown) ?? '')) return;
    throw thrown;
  }
  refuseOpenLog(file, 'somebody reads the database that is there');
}

/** A second name for it; a copy where the file system has none. What has the name is whole. */
function keepAs(file: string, aside: string, part: string): void {
  try {
    linkSync(file, aside);
  } catch {
    copyFileSync(file, part);
    giveToOwner(file, [part]);
    sync(part);
    renameSync(part, aside);
  }
}

/** Of two restores in one second each keeps what it found. */
function unusedName(name: string): string {
  for (let n = 1; ; n += 1) {
    const candidate = n === 1 ? name : `${name}-${n}`;
    if (!databaseEnds.some((end) => existsSync(candidate + end))) return candidate;
  }
}

/** Where root restores, the service must be able to use what was made: it is for the owner of the old database, else of its folder. */
function giveToOwner(file: string, made: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(existsSync(file) ? file : dirname(file));
  for (const one of made) chownSync(one, uid, gid);
}

/** It has its owner before it has its name: a restore by root that is killed must not leave a lock that only root can take. */
function makeLock(file: string): void {
  if (process.getuid?.() !== 0) return;
  const lock = `${file}.lock`;
  const part = `${lock}.new`;
  if (existsSync(lock)) return giveToOwner(file, [lock]);
  closeSync(openSync(part, 'w', 0o600));
  giveToOwner(file, [part]);
  try {
    linkSync(part, lock);
  } catch {
    if (!existsSync(lock)) renameSync(part, lock);
  }
  rmSync(part, { force: true });
}

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
    await close(opened.source);
    return backup;
  } catch (thrown) {
    await close(opened.source).catch(() => undefined);
    throw thrown;
  }
}

async function close(source: DataSource | undefined): Promise<void> {
  if (source?.isInitialized) await source.destroy();
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

/** Of a folder its names, of a file what is in it. */
function sync(name: string): void {
  const opened = openSync(name, 'r');
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}

/** What is still in the log would stay behind when the file gets another name. */
function refuseOpenLog(file: string, what: string): void {
  if (!existsSync(`${file}-wal`) || statSync(`${file}-wal`).size === 0) return;
  throw new ServiceError({
    code: 'store.unavailable',
    retry: 'operator',
    what,
    where: file,
    remedy: 'see that nothing else opens it, a backup that is being made for example, and restore again',
  });
}

function removeDraft(draft: string): void {
  for (const end of [...databaseEnds, oldEnd]) rmSync(draft + end, { force: true });
}
