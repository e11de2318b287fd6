import { createRequire } from 'node:module';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { toSqlValue, type SqlValue } from './sql-value.ts';

/** Which SQLite engine stands behind the handle: the `libsql` package, or `node:sqlite` of Node 24 and later. */
export type SqliteEngine = 'libsql' | 'node';

export interface SqliteHandleOptions {
  /** Default: `node` on Node 24 and later, else `libsql`. */
  readonly engine?: SqliteEngine;
  /** How long a statement waits for a lock of another connection, in milliseconds. Default 5000. */
  readonly busyTimeout?: number;
  /** Default `wal`; `delete` for a file that holds no data but a lock; `keep` = as it is, only for reading, beside a service that uses it. */
  readonly journal?: 'wal' | 'delete' | 'keep';
}

/** What a statement did that returns no rows. */
export interface RunResult {
  readonly changes: number;
  readonly lastInsertRowid: number;
}

/** A prepared statement, as TypeORM's better-sqlite3 driver uses it. */
export interface SqliteStatement {
  /** Whether the statement returns rows. */
  readonly reader: boolean;
  all(...parameters: unknown[]): Record<string, unknown>[];
  run(...parameters: unknown[]): RunResult;
}

/** A database connection, as TypeORM's better-sqlite3 driver uses it. */
export interface SqliteHandle {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): void;
  pragma(text: string): Record<string, unknown>[];
  close(): void;
}

interface EngineStatement {
  readonly reader: boolean;
  all(parameters: SqlValue[]): Record<string, unknown>[];
  run(parameters: SqlValue[]): RunResult;
}

interface EngineConnection {
  prepare(sql: string): EngineStatement;
  exec(sql: string): void;
  close(): void;
}

/** The engine that this Node takes unless told otherwise. `node:sqlite` is experimental before 24 and absent on 20. */
export function defaultSqliteEngine(): SqliteEngine {
  return Number.parseInt(process.versions.node, 10) >= 24 ? 'node' : 'libsql';
}

/**
 * Opens a database file behind a strict handle. Both engines are lenient where a service must not be: libsql takes a lone object
 * for named parameters, and a boolean, with an abort of the whole process (tursodatabase/libsql-js#114); it stores undefined
 * and NaN as NULL and fills up missing parameters. So everything is checked here, before the engine sees it.
 * @throws ServiceError `store.unavailable` when the engine cannot be loaded.
 */
export function openSqliteHandle(file: string, options: SqliteHandleOptions = {}): SqliteHandle {
  const connection = connect(options.engine ?? defaultSqliteEngine(), file);
  const prepare = (sql: string): SqliteStatement => strict(sql, connection.prepare(sql));
  const handle: SqliteHandle = {
    prepare,
    exec: (sql) => connection.exec(sql),
    pragma: (text) => prepare(`PRAGMA ${text}`).all(),
    close: () => {
      // libsql ends a connection only when its statements are garbage; without this the newest rows would lie in the WAL
      // of a stopped service, and a copy of the file alone would lack them.
      if ((options.journal ?? 'wal') === 'wal') handle.pragma('wal_checkpoint(TRUNCATE)');
      connection.close();
    },
  };
  try {
    handle.pragma(`busy_timeout = ${options.busyTimeout ?? 5_000}`);
    if (options.journal === 'keep') handle.pragma('query_only = ON');
    else handle.pragma(`journal_mode = ${options.journal ?? 'wal'}`);
    handle.pragma('synchronous = FULL');
    handle.pragma('foreign_keys = ON');
  } catch (error) {
    connection.close();
    throw error;
  }
  return handle;
}

function strict(sql: string, statement: EngineStatement): SqliteStatement {
  const wanted = countParameters(sql);
  const check = (parameters: readonly unknown[]): SqlValue[] => {
    if (parameters.length !== wanted) {
      throw new TypeError(
        `the statement takes ${wanted} parameters, ${parameters.length} were given: ${sql}`,
      );
    }
    return parameters.map(toSqlValue);
  };
  const { reader } = statement;
  return {
    reader,
    all: (...parameters) => statement.all(check(parameters)),
    run: (...parameters) => statement.run(check(parameters)),
  };
}

/** Counts the `?` placeholders outside of strings, quoted names and comments. */
export function countParameters(sql: string): number {
  const bare = sql.replaceAll(
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\//g,
    ' ',
  );
  return bare.split('?').length - 1;
}

function connect(engine: SqliteEngine, file: string): EngineConnection {
  return engine === 'libsql' ? connectLibsql(file) : connectNode(file);
}

const require = createRequire(import.meta.url);

function load(name: string, remedy: string): unknown {
  try {
    return require(name);
  } catch (cause) {
    throw new ServiceError({
      code: 'store.unavailable',
      retry: 'operator',
      what: `the SQLite engine "${name}" cannot be loaded`,
      where: `Node ${process.versions.node} on ${process.platform}-${process.arch}`,
      said: cause instanceof Error ? cause.message.split('\n')[0] : undefined,
      remedy,
      cause,
    });
  }
}

/** The part of libsql that is used; its own types describe another calling convention for parameters. */
interface LibsqlDatabase {
  prepare(sql: string): {
    readonly reader: boolean;
    raw(raw: boolean): void;
    columns(): readonly { readonly name: string }[];
    all(parameters: SqlValue[]): unknown[][];
    run(parameters: SqlValue[]): RunResult;
  };
  exec(sql: string): void;
  close(): void;
}

function connectLibsql(file: string): EngineConnection {
  // The binary lies in an optional package per platform, which `npm ci --omit=optional` leaves out.
  const Database = load(
    'libsql',
    'install with optional packages (npm ci without --omit=optional), or run on Node 24 or later',
  ) as new (file: string) => LibsqlDatabase;
  const database = new Database(file);
  return {
    prepare: (sql) => {
      const statement = database.prepare(sql);
      const { reader } = statement;
      if (reader) statement.raw(true);
      const toRow = rowsOf(reader ? statement.columns() : []);
      return {
        reader,
        all: (parameters) => statement.all(parameters).map(toRow),
        run: (parameters) => statement.run(parameters),
      };
    },
    exec: (sql) => database.exec(sql),
    close: () => database.close(),
  };
}

/** Both engines give values alone three times as fast as an object that they set each column of by its name. */
function rowsOf(
  columns: readonly { readonly name: string }[],
): (values: unknown[]) => Record<string, unknown> {
  const names = columns.map(({ name }) => name);
  return (values) => {
    const row: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i += 1) row[names[i]!] = values[i];
    return row;
  };
}

/** The part of `node:sqlite` that is used; declared here because the types of Node 20 do not know it. */
interface NodeDatabase {
  prepare(sql: string): {
    columns(): readonly { readonly name: string }[];
    setReturnArrays(arrays: boolean): void;
    all(...parameters: SqlValue[]): unknown[][];
    run(...parameters: SqlValue[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  };
  exec(sql: string): void;
  close(): void;
}

function connectNode(file: string): EngineConnection {
  const { DatabaseSync } = load('node:sqlite', 'run on Node 24 or later, or use the engine libsql') as {
    DatabaseSync: new (file: string) => NodeDatabase;
  };
  const database = new DatabaseSync(file);
  return {
    prepare: (sql) => {
      const statement = database.prepare(sql);
      const columns = statement.columns();
      statement.setReturnArrays(true);
      const toRow = rowsOf(columns);
      return {
        reader: columns.length > 0,
        all: (parameters) => statement.all(...parameters).map(toRow),
        run: (parameters) => {
          const done = statement.run(...parameters);
          return { changes: Number(done.changes), lastInsertRowid: Number(done.lastInsertRowid) };
        },
      };
    },
    exec: (sql) => database.exec(sql),
    close: () => database.close(),
  };
}
