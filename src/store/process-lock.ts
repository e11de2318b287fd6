import { lstatSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { sqliteErrorName } from './dialects/sqlite-errors.ts';
import { openSqliteHandle, type SqliteEngine } from './sqlite-handle.ts';

export interface ProcessLock {
  /** Idempotent. */
  release(): void;
}

/**
 * Makes this process the only user of a database file. The lock is one of the operating system, which SQLite takes on
 * `<file>.lock` for us (Node has no call for it): the kernel drops it with the process however that ends, so there are no
 * stale locks to judge. `<file>.pid` only tells people and messages who holds it. Never open the lock file by other means
 * in the holding process: POSIX drops a process's locks on a file when it closes any descriptor of it.
 * @throws ServiceError `store.locked`, naming the process.
 */
export function takeProcessLock(name: string, engine: SqliteEngine): ProcessLock {
  const file = placeOf(name);
  const pidFile = `${file}.pid`;
  // In WAL mode the lock would lie in a third file; the journal of a transaction that writes nothing is never made.
  const handle = openSqliteHandle(`${file}.lock`, { engine, busyTimeout: 0, journal: 'delete' });
  try {
    handle.exec('BEGIN IMMEDIATE');
  } catch (error) {
    handle.close();
    if (sqliteErrorName(error)?.startsWith('SQLITE_BUSY')) throw locked(file, pidFile);
    throw error;
  }
  // A restore by root that was killed may have left one that only root can write.
  rmSync(pidFile, { force: true });
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      rmSync(pidFile, { force: true });
      // libsql closes a connection only when it is garbage: the transaction must be ended by hand.
      handle.exec('ROLLBACK');
      handle.close();
    },
  };
}

/** Where a database file is, or will be: of two names of one file both find the same lock. */
export function placeOf(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  // Not made yet, perhaps at the end of a link that is there already.
  const link = lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  if (link) return placeOf(resolve(dirname(file), readlinkSync(file)));
  return join(realpathSync(dirname(file)), basename(file));
}

function locked(file: string, pidFile: string): ServiceError {
  return new ServiceError({
    code: 'store.locked',
    what: `the database file is in use by process ${holder(pidFile)}`,
    where: file,
  });
}

function holder(pidFile: string): string {
  try {
    return readFileSync(pidFile, 'utf8').trim() || 'unknown';
  } catch {
    return 'unknown';
  }
}
