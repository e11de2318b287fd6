import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, type Clock } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { openStorage, type SqlStorage, type StorageOptions } from '../../src/store/open-storage.ts';
import type { SqliteEngine } from '../../src/store/sqlite-handle.ts';
import { giveDatabase, takeDatabase, testStore, type MariadbDatabase } from './temp-database.ts';

export interface TempStorage {
  readonly storage: SqlStorage;
  /** Where the database is, for opening it again with `key`. */
  readonly database: { readonly type: 'sqlite'; readonly file: string } | MariadbDatabase;
  /** The database file, in a directory of its own; only of SQLite. */
  readonly file: string;
  readonly key: { readonly base64: Secret };
  /** Closes the storage and removes the database. Idempotent. */
  close(): Promise<void>;
}

export interface TempStorageOptions extends Partial<Pick<StorageOptions, 'unitTimeout' | 'log'>> {
  readonly engine?: SqliteEngine;
  readonly clock?: Clock;
}

/** Everything in the temporary databases of this process is sealed with this key. */
const key = { base64: new Secret(randomBytes(32).toString('base64')) };

let template: Promise<string> | undefined;

/** A real, empty storage of its own, on the kind of database that `CSBM_TEST_STORE` says. */
export function tempStorage(options: TempStorageOptions = {}): Promise<TempStorage> {
  return testStore === 'mariadb' ? onMariadb(options) : onSqlite(options);
}

async function onMariadb(options: TempStorageOptions): Promise<TempStorage> {
  const database = await takeDatabase();
  const storage = await openStorage({ ...database, key, clock: new SystemClock(), ...options });
  let closed = false;
  return {
    storage,
    database,
    get file(): string {
      throw new Error('on MariaDB there is no file');
    },
    key,
    close: async () => {
      await storage.close();
      if (!closed) await giveDatabase(database);
      closed = true;
    },
  };
}

/** Migrating takes most of the time, so it is done once and the file is copied. */
async function onSqlite(options: TempStorageOptions): Promise<TempStorage> {
  template ??= makeTemplate();
  const directory = mkdtempSync(join(tmpdir(), 'csbm-store-'));
  const file = join(directory, 'csbm.db');
  copyFileSync(await template, file);
  const storage = await openStorage({ type: 'sqlite', file, key, clock: new SystemClock(), ...options });
  return {
    storage,
    database: { type: 'sqlite', file },
    file,
    key,
    close: async () => {
      await storage.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function makeTemplate(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'csbm-store-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'csbm.db');
  await (await openStorage({ type: 'sqlite', file, key, clock: new SystemClock() })).close();
  return file;
}
