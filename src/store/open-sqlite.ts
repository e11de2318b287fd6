import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataSource } from 'typeorm';
import { migrations } from '../../migrations/index.ts';
import type { Log } from '../kernel/log/log.ts';
import type { Database } from './database.ts';
import { describeSqliteError, translateSqliteError } from './dialects/sqlite-errors.ts';
import { SqliteTransactions } from './dialects/sqlite-transactions.ts';
import { createStatementLogger } from './dialects/statement-logger.ts';
import { takeProcessLock, type ProcessLock } from './process-lock.ts';
import { schemas } from './schema/index.ts';
import { loadKeyRing, type KeySource } from './secrets/key-ring.ts';
import { defaultSqliteEngine, openSqliteHandle, type SqliteEngine } from './sqlite-handle.ts';

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
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    lock = takeProcessLock(file, engine);
    const ring = loadKeyRing(options.key, !existsSync(file));
    // Made by us, because SQLite would give it the umask's mode; its WAL takes over the mode of the file.
    closeSync(openSync(file, 'a', 0o600));
    source = createSource(file, engine, options.log);
    await source.initialize();
    await source.runMigrations({ transaction: 'each' });
    const transactions = new SqliteTransactions(source.createQueryRunner());
    return { source, transactions, ring, patience: null, ready: () => Promise.resolve(), close };
  } catch (error) {
    await close();
    throw translateSqliteError(error);
  }
}

function createSource(file: string, engine: SqliteEngine, log: Log | undefined): DataSource {
  return new DataSource({
    type: 'better-sqlite3',
    database: file,
    // TypeORM's driver calls `new driver(file, options)`: the object that a constructor returns is what it gets.
    driver: function StrictHandle(path: string) {
      return openSqliteHandle(path, { engine });
    },
    entities: [...schemas],
    migrations: [...migrations],
    migrationsTableName: 'migration',
    synchronize: false,
    logger: createStatementLogger(log, describeSqliteError),
    // Room for every shape of statement that the stores compose.
    statementCacheSize: 500,
  });
}
