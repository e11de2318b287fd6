import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataSource } from 'typeorm';
import { seconds, type Clock, type Duration } from '../../plugin-api/index.ts';
import { migrations } from '../../migrations/index.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import type { Log } from '../kernel/log/log.ts';
import { translateSqliteError } from './dialects/sqlite-errors.ts';
import { createStatementLogger } from './dialects/statement-logger.ts';
import { takeProcessLock, type ProcessLock } from './process-lock.ts';
import { SqlAlarmStore } from './repositories/sql-alarm-store.ts';
import { SqlApiKeyStore } from './repositories/sql-api-key-store.ts';
import { SqlBootStore } from './repositories/sql-boot-store.ts';
import { SqlClaimStore } from './repositories/sql-claim-store.ts';
import { SqlDeploymentStore } from './repositories/sql-deployment-store.ts';
import { SqlImageStore } from './repositories/sql-image-store.ts';
import { SqlJournalStore } from './repositories/sql-journal-store.ts';
import { SqlMachineStore } from './repositories/sql-machine-store.ts';
import { SqlPoolStore } from './repositories/sql-pool-store.ts';
import { SqlPortStore } from './repositories/sql-port-store.ts';
import { SqlPrincipalStore } from './repositories/sql-principal-store.ts';
import { SqlProfileStore } from './repositories/sql-profile-store.ts';
import { SqlRackStore } from './repositories/sql-rack-store.ts';
import { SqlRecordStore } from './repositories/sql-record-store.ts';
import { schemas } from './schema/index.ts';
import { loadKeyRing, type KeySource } from './secrets/key-ring.ts';
import { registerKeys, resealAll, type Run } from './secrets/reseal.ts';
import { Sealer } from './secrets/sealer.ts';
import type { Session } from './session.ts';
import { defaultSqliteEngine, openSqliteHandle, type SqliteEngine } from './sqlite-handle.ts';
import { createTables, type Tables } from './tables.ts';
import { UnitOfWork } from './unit-of-work.ts';

export interface SqliteStorageOptions {
  readonly type: 'sqlite';
  /** The database file; it and its directory are made when absent. */
  readonly file: string;
  readonly key: KeySource;
  readonly clock: Clock;
  readonly log?: Log;
  /** Default: `node` on Node 24 and later, else `libsql`. */
  readonly engine?: SqliteEngine;
  /** How long one unit of work may stay open before it is rolled back. Default 30 s. */
  readonly unitTimeout?: Duration;
}

/** The storage of one database, with what only its owner needs. */
export interface SqlStorage extends Storage {
  /** After a key rotation: seals every stored secret with the new key, in the background of other work. Gives how many. */
  reseal(): Promise<number>;
}

/**
 * Opens the database, alone in using it, with its schema brought up to date.
 * @throws ServiceError `store.locked`, `store.secret`, `store.unavailable`.
 */
export async function openStorage(options: SqliteStorageOptions): Promise<SqlStorage> {
  const { file, clock, engine = defaultSqliteEngine() } = options;
  let lock: ProcessLock | undefined;
  let source: DataSource | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    lock = takeProcessLock(file, engine);
    const ring = loadKeyRing(options.key, !existsSync(file));
    // Made by us, because SQLite would give it the umask's mode; its WAL takes over the mode of the file.
    closeSync(openSync(file, 'a', 0o600));
    source = createSource(file, engine, options.log);
    await source.initialize();
    await source.runMigrations({ transaction: 'each' });
    const tables = createTables(source);
    const sealer = new Sealer(ring);
    const runner = source.createQueryRunner();
    const units = new UnitOfWork({
      runner,
      makeTx: (session) => createTx(tables, session, sealer, clock),
      timeout: options.unitTimeout ?? seconds(30),
    });
    // The stores hide the session; sealing anew works below them.
    const run: Run = (work) => units.run((_, session) => work(session));
    await registerKeys(run, tables, ring, clock.now());
    const opened = source;
    const held = lock;
    return {
      run: (work) => units.run(work),
      reseal: () => resealAll(run, tables, ring, sealer),
      close: async () => {
        await units.close();
        if (!opened.isInitialized) return;
        await opened.destroy();
        held.release();
      },
    };
  } catch (error) {
    if (source?.isInitialized) await source.destroy();
    lock?.release();
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
    logger: createStatementLogger(log),
    // Room for every shape of statement that the stores compose.
    statementCacheSize: 500,
  });
}

function createTx(tables: Tables, session: Session, sealer: Sealer, clock: Clock): Tx {
  return {
    machines: new SqlMachineStore(tables, session, sealer),
    claims: new SqlClaimStore(tables, session),
    deployments: new SqlDeploymentStore(tables, session, sealer),
    racks: new SqlRackStore(tables, session, sealer, clock),
    ports: new SqlPortStore(tables, session),
    images: new SqlImageStore(tables, session),
    journal: new SqlJournalStore(tables, session, sealer),
    boots: new SqlBootStore(tables, session, sealer),
    principals: new SqlPrincipalStore(tables, session),
    alarms: new SqlAlarmStore(tables, session),
    profiles: new SqlProfileStore(tables, session),
    pools: new SqlPoolStore(tables, session),
    apiKeys: new SqlApiKeyStore(tables, session, sealer),
    records: new SqlRecordStore(tables, session),
  };
}
