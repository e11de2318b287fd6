import { closeSync, existsSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataSource, type Logger } from 'typeorm';
import { migrations } from '../../migrations/index.ts';
import { makeFolder } from '../kernel/files/make-folder.ts';
import type { Log } from '../kernel/log/log.ts';
import type { Database } from './database.ts';
import { describeSqliteError, translateSqliteError } from './dialects/sqlite-errors.ts';
import { SqliteTransactions } from './dialects/sqlite-transactions.ts';
import { createStatementLogger } from './dialects/statement-logger.ts';
import { takeProcessLock, type ProcessLock } from './process-lock.ts';
import { schemas } from './schema/index.ts';
import { loadKeyRing, type KeySource } from './secrets/key-ring.ts';
import {
  defaultSqliteEngine,
  openSqliteHandle,
  type SqliteEngine,
  type SqliteHandle,
} from './sqlite-handle.ts';

export interface SqliteOptions {
  readonly type: 'sqlite';
  /** The database file; it and its directory are made when absent. */
  readonly file: string;
  readonly key: KeySource;
  readonly log?: Log;
  /** Default: `node` on Node 24 and later, else `libsql`. */
  readonly engine?: SqliteEngine;
}

/**
 * Opens a database file, alone in using it.
 * @throws ServiceError `store.locked`, `store.secret`, `store.unavailable`.
 */
export async function openSqlite(options: SqliteOptions): Promise<Database> {
  const { file, engine = defaultSqliteEngine() } = options;
  let lock: ProcessLock | undefined;
  let source: DataSource | undefined;
  const close = async (): Promise<void> => {
    if (source?.isInitialized) await source.destroy();
    lock?.release();
  };
  try {
    makeFolder(dirname(file));
    lock = takeProcessLock(file, engine);
    const ring = loadKeyRing(options.key, !existsSync(file));
    // Made by us, because SQLite would give it the umask's mode; its WAL takes over the mode of the file.
    closeSync(openSync(file, 'a', 0o600));
    const opened: { handle?: SqliteHandle } = {};
    const logger = createStatementLogger(options.log, describeSqliteError);
    // Made by TypeORM, which brings the schema up to date with it; everything else goes over it directly.
    source = createSource(file, logger, () => (opened.handle = openSqliteHandle(file, { engine })));
    await source.initialize();
    await source.runMigrations({ transaction: 'each' });
    const transactions = new SqliteTransactions(
      opened.handle!,
      (error, statement) => void logger.logQueryError(error as Error, statement),
    );
    return {
      source,
      transactions,
      ring,
      patience: null,
      fenceBy: null,
      ready: () => Promise.resolve(),
      close,
    };
  } catch (error) {
    await close();
    throw translateSqliteError(error);
  }
}

function createSource(file: string, logger: Logger, open: () => SqliteHandle): DataSource {
  return new DataSource({
    type: 'better-sqlite3',
    database: file,
    // TypeORM's driver calls `new driver(file, options)`: the object that a constructor returns is what it gets.
    driver: function StrictHandle() {
      return open();
    },
    entities: [...schemas],
    migrations: [...migrations],
    migrationsTableName: 'migration',
    synchronize: false,
    logger,
  });
}
