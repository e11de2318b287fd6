import { seconds, type Clock, type Duration } from '../../plugin-api/index.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import type { Database } from './database.ts';
import { openMariadb, type MariadbOptions } from './open-mariadb.ts';
import { openSqlite, type SqliteOptions } from './open-sqlite.ts';
import { SqlAlarmStore } from './repositories/sql-alarm-store.ts';
import { SqlApiKeyStore } from './repositories/sql-api-key-store.ts';
import { SqlBootStore } from './repositories/sql-boot-store.ts';
import { SqlClaimStore } from './repositories/sql-claim-store.ts';
import { SqlDeploymentStore } from './repositories/sql-deployment-store.ts';
import { SqlHistoryStore } from './repositories/sql-history-store.ts';
import { SqlImageStore } from './repositories/sql-image-store.ts';
import { SqlInstanceStore } from './repositories/sql-instance-store.ts';
import { SqlJournalStore } from './repositories/sql-journal-store.ts';
import { SqlLeaseStore } from './repositories/sql-lease-store.ts';
import { SqlMachineStore } from './repositories/sql-machine-store.ts';
import { SqlPoolStore } from './repositories/sql-pool-store.ts';
import { SqlPortStore } from './repositories/sql-port-store.ts';
import { SqlPrincipalStore } from './repositories/sql-principal-store.ts';
import { SqlProfileStore } from './repositories/sql-profile-store.ts';
import { SqlQuarantineStore } from './repositories/sql-quarantine-store.ts';
import { SqlRackStore } from './repositories/sql-rack-store.ts';
import { SqlRecordStore } from './repositories/sql-record-store.ts';
import { SqlRetentionStore } from './repositories/sql-retention-store.ts';
import { SqlDeviceRequestStore } from './repositories/sql-device-request-store.ts';
import { SqlTimelineStore } from './repositories/sql-timeline-store.ts';
import { registerKeys, resealAll, type Run } from './secrets/reseal.ts';
import { Sealer } from './secrets/sealer.ts';
import type { Session } from './session.ts';
import { createTables, type Tables } from './tables.ts';
import { UnitOfWork } from './unit-of-work.ts';

export type StorageOptions = (SqliteOptions | MariadbOptions) & {
  readonly clock: Clock;
  /** How long one unit of work may stay open before it is rolled back. Default 30 s. */
  readonly unitTimeout?: Duration;
  /** Ends the waiting for a database server that is not there yet. */
  readonly signal?: AbortSignal;
};

/** The storage of one database, with what only its owner needs. */
export interface SqlStorage extends Storage {
  /** After a key rotation: seals every stored secret with the new key, in the background of other work. Gives how many. */
  reseal(): Promise<number>;
  /** Whether other processes may use the database too: MariaDB's; SQLite's is one process's alone, by its lock. */
  readonly shared: boolean;
  /**
   * From now on nothing is stored in the name of this instance once it was declared gone: such a unit of work rolls back with
   * `instance.gone`. Null ends that. On SQLite nobody else is there to say so.
   */
  fenceBy(instance: string | null): void;
}

/**
 * Opens the database, with its schema brought up to date.
 * @throws ServiceError `store.locked`, `store.secret`, `store.unavailable`.
 */
export async function openStorage(options: StorageOptions): Promise<SqlStorage> {
  const database: Database =
    options.type === 'sqlite' ? await openSqlite(options) : await openMariadb(options);
  const { source, transactions, ring, patience } = database;
  try {
    const tables = createTables(source);
    const sealer = new Sealer(ring);
    const units = new UnitOfWork({
      transactions,
      makeTx: (session) => createTx(tables, session, sealer, options.clock),
      timeout: options.unitTimeout ?? seconds(30),
      patience,
    });
    // The stores hide the session; sealing anew works below them.
    const run: Run = (work) => units.run((_, session) => work(session));
    await registerKeys(run, tables, ring, options.clock.now());
    await database.ready();
    return {
      run: (work) => units.run(work),
      reseal: () => resealAll(run, tables, ring, sealer),
      shared: database.fenceBy !== null,
      fenceBy: (instance) => database.fenceBy?.(instance),
      close: async () => {
        await units.close();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
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
    quarantines: new SqlQuarantineStore(tables, session),
    profiles: new SqlProfileStore(tables, session),
    pools: new SqlPoolStore(tables, session),
    apiKeys: new SqlApiKeyStore(tables, session, sealer),
    records: new SqlRecordStore(tables, session),
    timeline: new SqlTimelineStore(tables, session),
    retention: new SqlRetentionStore(tables, session),
    history: new SqlHistoryStore(tables, session),
    instances: new SqlInstanceStore(tables, session),
    leases: new SqlLeaseStore(tables, session),
    deviceRequests: new SqlDeviceRequestStore(tables, session),
  };
}
