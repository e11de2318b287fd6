import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, ConnectionOptions, Pool, PoolOptions, RowDataPacket } from 'mysql2';
import { DataSource, type EntitySchema } from 'typeorm';
import { minutes, seconds, type Duration, type Secret } from '../../plugin-api/index.ts';
import { migrations } from '../../migrations/index.ts';
import { formatDuration } from '../kernel/clock/duration.ts';
import { orAborted } from '../kernel/concurrency/or-aborted.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Log } from '../kernel/log/log.ts';
import type { Database } from './database.ts';
import { describeMariadbError, translateMariadbError } from './dialects/mariadb-errors.ts';
import { mariadbSchema } from './dialects/mariadb-schema.ts';
import { MariadbTransactions } from './dialects/mariadb-transactions.ts';
import { createStatementLogger } from './dialects/statement-logger.ts';
import { schemas } from './schema/index.ts';
import { loadKeyRing, type KeySource } from './secrets/key-ring.ts';
import { TransactionLost } from './transactions.ts';

/** Where the server is: its socket on this machine, or an address. */
export type MariadbPlace =
  | { readonly socket: string }
  | { readonly host: string; readonly port: number; readonly tls: MariadbTls | null };

/** The server's certificate must be signed by `caFile` (else by a known authority) and have the name in `host`. */
export interface MariadbTls {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

export interface MariadbOptions {
  readonly type: 'mariadb';
  readonly place: MariadbPlace;
  /** A database of csbm's own, which must be there. */
  readonly database: string;
  readonly user: string;
  readonly password?: Secret | undefined;
  readonly key: KeySource;
  readonly log?: Log;
  /** Transactions at once. Default 10. */
  readonly connections?: number;
  /** Default 10 s. */
  readonly connectTimeout?: Duration;
  /** How long a transaction waits for a row that another one holds; whole seconds. Default 5 s. */
  readonly lockWait?: Duration;
  /** How long a server that does not answer is tried again before that is told. Default 30 s. */
  readonly patience?: Duration;
  /** A transaction in which nothing is said for so long is rolled back by the server: a frozen process must not hold up others.
   * Whole seconds; MySQL has no such setting. Default 10 s. */
  readonly idleTransaction?: Duration;
  /** How long another process may bring the schema up to date meanwhile. Default 5 min. */
  readonly migrationWait?: Duration;
  /** Ends the waiting for the server, and for other processes. */
  readonly signal?: AbortSignal;
}

/** What it takes to reach the database, without using it as csbm does. */
export type MariadbPlaceOptions = Omit<MariadbOptions, 'type' | 'key' | 'log' | 'signal'>;

/** One connection, for who reads or fills the database as a whole. @throws ServiceError `store.unavailable` */
export async function connectMariadb(options: MariadbPlaceOptions): Promise<Connection> {
  const mysql = await import('mysql2');
  const attempt = (): Promise<Connection> =>
    connect(mysql.createConnection(connectionOptions(full(options))));
  try {
    const connection = await connectPatiently(attempt, options.patience ?? seconds(30), undefined);
    await inspect(connection);
    return connection;
  } catch (error) {
    throw translateMariadbError(error);
  }
}

/** Keeps everybody else from opening the database, for as long as the connection lasts. @throws ServiceError `store.locked` */
export function lockMariadb(connection: Connection, options: MariadbPlaceOptions): Promise<void> {
  return takeLock(connection, full(options));
}

/** Makes the schema of these migrations in an empty database, over the connection that holds its lock. */
export async function migrateMariadb(
  connection: Connection,
  options: MariadbPlaceOptions,
  wanted: readonly (typeof migrations)[number][],
): Promise<void> {
  const mysql = await import('mysql2');
  const server = await inspect(connection);
  await setCollation(connection, options.database, server);
  const source = createSource(
    server.type,
    full(options),
    (given) => mysql.createPool({ ...given, ...connectionOptions(full(options)) }),
    wanted,
  );
  try {
    await source.initialize();
    await source.runMigrations({ transaction: 'each' });
  } finally {
    if (source.isInitialized) await source.destroy();
  }
}

/** @param values for the placeholders of the statement */
export async function askMariadb(
  connection: Connection,
  statement: string,
  values: readonly unknown[] = [],
): Promise<RowDataPacket[]> {
  try {
    return await ask(connection, statement, values);
  } catch (error) {
    throw translateMariadbError(error);
  }
}

export function endMariadb(connection: Connection): Promise<void> {
  return end(connection);
}

function full(options: MariadbPlaceOptions): MariadbOptions {
  return { ...options, type: 'mariadb', key: { file: '' } };
}

/**
 * Opens a database on a server, which several processes may use. One after the other they bring the schema up to date, and
 * register their keys.
 * @throws ServiceError `store.secret`, `store.unavailable`, `store.locked` when another one's migration does not end
 */
export async function openMariadb(options: MariadbOptions): Promise<Database> {
  const { patience = seconds(30), signal = new AbortController().signal } = options;
  // Loaded only where it is used: it costs a tenth of a second at every start.
  const mysql = await import('mysql2');
  const connecting = connectionOptions(options);
  let source: DataSource | undefined;
  let first: Connection | undefined;
  let pool: Pool | undefined;
  const close = async (): Promise<void> => {
    first?.destroy();
    if (source?.isInitialized) await source.destroy();
    else pool?.end(() => undefined);
  };
  try {
    const attempt = (): Promise<Connection> => connect(mysql.createConnection(connecting), signal);
    first = await connectPatiently(attempt, patience, options.log, signal);
    const server = await inspect(first);
    // Of the server, not of the database; it goes with the connection, however this process ends.
    await orAborted(takeLock(first, options), signal);
    await setCollation(first, options.database, server);
    source = createSource(server.type, options, (given: PoolOptions) => {
      pool = mysql.createPool({ ...given, ...connecting });
      pool.on('connection', (connection) => prepare(connection, options, server.type));
      return pool;
    });
    await source.initialize();
    await source.runMigrations({ transaction: 'each' });
    const [{ keys }] = (await ask(first, 'SELECT COUNT(*) AS `keys` FROM secret_key')) as [{ keys: number }];
    const ring = loadKeyRing(options.key, keys === 0);
    warnOf(server, options);
    const held = first;
    const transactions = new MariadbTransactions(pool!);
    return {
      source,
      transactions,
      ring,
      patience,
      fenceBy: (instance) => transactions.fenceBy(instance),
      ready: () => end(held),
      close,
    };
  } catch (error) {
    await close();
    throw signal.aborted ? signal.reason : translateMariadbError(error);
  }
}

function connectionOptions({
  place,
  database,
  user,
  password,
  connections = 10,
  connectTimeout = seconds(10),
}: MariadbOptions): PoolOptions & ConnectionOptions {
  return {
    ...('socket' in place
      ? { socketPath: place.socket }
      : {
          host: place.host,
          port: place.port,
          ...(place.tls && {
            ssl: {
              ...(place.tls.caFile !== undefined && { ca: readFileSync(place.tls.caFile) }),
              ...(place.tls.certFile !== undefined && { cert: readFileSync(place.tls.certFile) }),
              ...(place.tls.keyFile !== undefined && { key: readFileSync(place.tls.keyFile) }),
              minVersion: 'TLSv1.2',
              rejectUnauthorized: true,
              verifyIdentity: true,
            },
          }),
        }),
    database,
    user,
    password: password?.reveal() ?? '',
    connectionLimit: connections,
    connectTimeout,
    // A firewall that forgets idle connections would make the next unit of work wait for nothing.
    keepAliveInitialDelay: 30_000,
    charset: 'utf8mb4',
    // An UPDATE counts the rows that it matched, not those that it changed: compare-and-set lives on that.
    flags: ['+FOUND_ROWS', '-LOCAL_FILES'],
    // A bigint comes as text where a number would lose digits; the schema's transformer takes both.
    supportBigNumbers: true,
    bigNumberStrings: false,
    // Every shape of statement that the stores compose, within the server's default of 16382 for all connections together.
    maxPreparedStatements: 500,
  };
}

/** The session as the stores need it, whatever the server's defaults are. */
function prepare(
  connection: Connection,
  { lockWait = seconds(5), idleTransaction = seconds(10) }: MariadbOptions,
  server: Server['type'],
): void {
  // The pool forgets a connection that fails; without a listener a second failure would end the process.
  connection.on('error', () => undefined);
  const fail = (error: Error | null): void => {
    if (error) connection.destroy();
  };
  // Each statement sees what is committed: a unit that must not be overtaken compares versions, or locks what it reads.
  connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', fail);
  connection.query(
    `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION default_storage_engine = InnoDB, ` +
      `SESSION autocommit = 1, SESSION innodb_lock_wait_timeout = ${wholeSeconds(lockWait)}` +
      (server === 'mariadb' ? `, SESSION idle_transaction_timeout = ${wholeSeconds(idleTransaction)}` : ''),
    fail,
  );
}

const wholeSeconds = (time: Duration): number => Math.max(1, Math.round(time / 1_000));

function createSource(
  type: 'mariadb' | 'mysql',
  { database, log }: MariadbOptions,
  createPool: (options: PoolOptions) => Pool,
  wanted: readonly (typeof migrations)[number][] = migrations,
): DataSource {
  return new DataSource({
    type,
    database,
    driver: { createPool },
    entities: schemas.map((schema) => mariadbSchema(schema as EntitySchema<object>)),
    migrations: [...wanted],
    migrationsTableName: 'migration',
    synchronize: false,
    logger: createStatementLogger(log, describeMariadbError),
  });
}

interface Server {
  /** TypeORM finds drift for ever when the two are mixed up. */
  readonly type: 'mariadb' | 'mysql';
  readonly version: string;
  readonly collation: string;
  readonly flushAtCommit: number;
}

/** @throws ServiceError `store.unavailable` for a server that is too old. */
async function inspect(connection: Connection): Promise<Server> {
  const [row] = (await ask(
    connection,
    'SELECT VERSION() AS version, @@innodb_flush_log_at_trx_commit AS flushAtCommit',
  )) as [{ version: string; flushAtCommit: number }];
  const { version, flushAtCommit } = row;
  const type = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  // Behind an old replication fix-up, MariaDB puts 5.5.5- before its version.
  const [major = 0, minor = 0] = version
    .replace(/^5\.5\.5-/, '')
    .split('.')
    .map(Number);
  const enough = type === 'mariadb' ? major > 10 || (major === 10 && minor >= 6) : major >= 8;
  if (!enough)
    throw new ServiceError({
      code: 'store.unavailable',
      retry: 'operator',
      what: `the database server is too old: ${version}`,
      remedy: 'use MariaDB 10.6 or later, or MySQL 8.0 or later',
    });
  // By bytes, and a space at the end counts, as in SQLite. utf8mb4_bin would take 'a' and 'a ' for the same key.
  const collation = type === 'mariadb' ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin';
  return { type, version, collation, flushAtCommit };
}

/** Tables take their collation from the database, which is csbm's alone. */
async function setCollation(connection: Connection, database: string, { collation }: Server): Promise<void> {
  // Not @@collation_database, which a session keeps as it was when the session began.
  const [row] = (await ask(
    connection,
    'SELECT default_collation_name AS now FROM information_schema.schemata WHERE schema_name = DATABASE()',
  )) as [{ now: string }];
  if (row.now === collation) return;
  const [{ tables }] = (await ask(
    connection,
    'SELECT COUNT(*) AS tables FROM information_schema.tables WHERE table_schema = DATABASE()',
  )) as [{ tables: number }];
  if (tables > 0)
    throw new ServiceError({
      code: 'store.unavailable',
      retry: 'operator',
      what: `the database ${database} has tables and the collation ${row.now}, not ${collation}`,
      remedy: 'give csbm an empty database of its own',
    });
  const name = database.replaceAll('`', '``');
  await ask(connection, `ALTER DATABASE \`${name}\` CHARACTER SET utf8mb4 COLLATE ${collation}`);
}

/** DDL commits by itself and TypeORM takes no lock: without one, processes that start together make the same tables. */
async function takeLock(connection: Connection, options: MariadbOptions): Promise<void> {
  const { database, migrationWait = minutes(5) } = options;
  // At most 64 characters, which the name of a database may have alone.
  const name = `csbm.${createHash('sha256').update(database).digest('hex').slice(0, 32)}`;
  const wait = Math.max(1, Math.round(migrationWait / 1_000));
  const [row] = (await ask(connection, `SELECT GET_LOCK('${name}', ${wait}) AS taken`)) as [
    { taken: number | null },
  ];
  if (row.taken === 1) return;
  throw new ServiceError({
    code: 'store.locked',
    what: `another instance has been opening the database ${database} for ${formatDuration(migrationWait)}`,
    remedy: 'see the log of the other instances',
  });
}

function warnOf({ version, flushAtCommit, type }: Server, { log, place }: MariadbOptions): void {
  log?.info({ version }, 'database server');
  if (type === 'mysql') log?.warn({ version }, 'MySQL is unproven: csbm is tested with MariaDB');
  if (flushAtCommit !== 1)
    log?.warn(
      { flushAtCommit },
      'the database server may lose what it has confirmed: set innodb_flush_log_at_trx_commit = 1',
    );
  if ('host' in place && place.tls === null && !/^(localhost|127\.|::1$)/.test(place.host))
    log?.warn({ host: place.host }, 'the database is used without TLS: whoever listens reads along');
}

/** Tries again while the server is not there, as it may be when both are started together. */
async function connectPatiently(
  attempt: () => Promise<Connection>,
  patience: Duration,
  log: Log | undefined,
  signal?: AbortSignal,
): Promise<Connection> {
  const began = performance.now();
  for (let pause = 50; ; pause = Math.min(pause * 2, 1_000)) {
    try {
      return await attempt();
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = translateMariadbError(thrown);
      if (!(error instanceof TransactionLost) || performance.now() - began > patience) throw error;
      if (pause === 50) log?.warn({ error: error.message }, 'waiting for the database');
      await sleep(pause, undefined, { ...(signal && { signal }) });
    }
  }
}

function connect(connection: Connection, signal?: AbortSignal): Promise<Connection> {
  return new Promise((resolve, reject) => {
    connection.on('error', () => undefined);
    const onAbort = (): void => {
      connection.destroy();
      reject(signal!.reason as Error);
    };
    if (signal?.aborted) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    connection.connect((error) => {
      signal?.removeEventListener('abort', onAbort);
      if (!error) {
        resolve(connection);
        return;
      }
      connection.destroy();
      reject(error);
    });
  });
}

function ask(
  connection: Connection,
  statement: string,
  values: readonly unknown[] = [],
): Promise<RowDataPacket[]> {
  return new Promise((resolve, reject) => {
    connection.query<RowDataPacket[]>(statement, [...values], (error, rows) =>
      error ? reject(error) : resolve(rows),
    );
  });
}

function end(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    connection.end(() => resolve());
  });
}
