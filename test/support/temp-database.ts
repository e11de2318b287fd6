import { askMariadb } from './mariadb-server.ts';

/** Where a test's storage is, for `openStorage`. */
export interface MariadbDatabase {
  readonly type: 'mariadb';
  readonly place: { readonly socket: string };
  readonly database: string;
  readonly user: string;
}

/** On which kind of database the tests keep their storage: `CSBM_TEST_STORE`, SQLite unless said otherwise. */
export const testStore = process.env['CSBM_TEST_STORE'] === 'mariadb' ? 'mariadb' : 'sqlite';

/** For what only one kind of database has. */
export function requireStore(context: Mocha.Context, type: 'sqlite' | 'mariadb'): void {
  if (testStore !== type) context.skip();
}

/** Databases with tables and without rows: making the tables takes most of the time. */
const free: string[] = [];
let made = 0;

/** An empty database of its own on the server that `make test-mysql` has started. */
export async function takeDatabase(): Promise<MariadbDatabase> {
  const socket = process.env['CSBM_TEST_MARIADB_SOCKET'];
  if (socket === undefined) throw new Error('CSBM_TEST_MARIADB_SOCKET is not set: use make test-mysql');
  let database = free.pop();
  if (database === undefined) {
    database = `test_${process.pid}_${(made += 1)}`;
    // A database as administrators make it, whatever the server's default is.
    await askMariadb(socket, `CREATE DATABASE ${database} CHARACTER SET latin1`);
  }
  return { type: 'mariadb', place: { socket }, database, user: 'root' };
}

/** Takes back a database that nobody uses any more. */
export async function giveDatabase({ place, database }: MariadbDatabase): Promise<void> {
  const tables = await askMariadb(
    place.socket,
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '${database}' AND table_name <> 'migration'`,
  );
  const deletes = tables.map(({ name }) => `DELETE FROM \`${String(name)}\``);
  await askMariadb(place.socket, ['SET foreign_key_checks = 0', ...deletes].join('; '), database);
  free.push(database);
}

/** Where the service of a stage keeps its storage: what its environment says, and what to do once it has ended. */
export async function stageDatabase(): Promise<{
  readonly env: Readonly<Record<string, string>>;
  readonly release: () => Promise<void>;
}> {
  if (testStore === 'sqlite') return { env: {}, release: () => Promise.resolve() };
  const taken = await takeDatabase();
  const env = {
    CSBM_STORE_TYPE: 'mariadb',
    CSBM_STORE_MARIADB_SOCKET: taken.place.socket,
    CSBM_STORE_MARIADB_DATABASE: taken.database,
    CSBM_STORE_MARIADB_USER: taken.user,
  };
  return { env, release: () => giveDatabase(taken) };
}
