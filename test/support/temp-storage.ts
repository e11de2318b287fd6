import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, type Clock } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { openStorage, type SqlStorage, type SqliteStorageOptions } from '../../src/store/open-storage.ts';

export interface TempStorage {
  readonly storage: SqlStorage;
  /** The database file, in a directory of its own. */
  readonly file: string;
  /** The key, for opening the file again. */
  readonly key: { readonly base64: Secret };
  /** Closes the storage and removes its directory. Idempotent. */
  close(): Promise<void>;
}

export interface TempStorageOptions extends Partial<
  Pick<SqliteStorageOptions, 'engine' | 'unitTimeout' | 'log'>
> {
  readonly clock?: Clock;
}

/** Everything in the temporary databases of this process is sealed with this key. */
const key = { base64: new Secret(randomBytes(32).toString('base64')) };

let template: Promise<string> | undefined;

/** A real storage on a file of its own. Migrating takes most of the time, so it is done once and the file is copied. */
export async function tempStorage(options: TempStorageOptions = {}): Promise<TempStorage> {
  template ??= makeTemplate();
  const directory = mkdtempSync(join(tmpdir(), 'csbm-store-'));
  const file = join(directory, 'csbm.db');
  copyFileSync(await template, file);
  const storage = await openStorage({ type: 'sqlite', file, key, clock: new SystemClock(), ...options });
  return {
    storage,
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
