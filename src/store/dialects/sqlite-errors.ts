import { QueryFailedError } from 'typeorm';
import { CodedError } from '../../../plugin-api/index.ts';
import { ServiceError, type ServiceCode } from '../../kernel/errors/service-error.ts';

/** What failures of either SQLite engine mean to a caller, by the start of the code's name. */
const meanings: readonly (readonly [name: string, code: ServiceCode, what: string])[] = [
  ['SQLITE_CONSTRAINT_UNIQUE', 'store.conflict', 'such a row is there already'],
  ['SQLITE_CONSTRAINT_PRIMARYKEY', 'store.conflict', 'such a row is there already'],
  [
    'SQLITE_CONSTRAINT_FOREIGNKEY',
    'store.conflict',
    'the row refers to another that is not there, or is still referred to',
  ],
  // What an ON DELETE RESTRICT that refuses is called; there are no triggers of ours.
  ['SQLITE_CONSTRAINT_TRIGGER', 'store.conflict', 'the row is still referred to by another'],
  ['SQLITE_CONSTRAINT', 'internal.bug', 'the row breaks a rule of its table'],
  ['SQLITE_BUSY', 'store.unavailable', 'the database is locked by somebody else'],
  ['SQLITE_LOCKED', 'store.unavailable', 'the database is locked by somebody else'],
  ['SQLITE_FULL', 'store.unavailable', 'the disk of the database is full'],
  ['SQLITE_IOERR', 'store.unavailable', 'the disk of the database fails'],
  ['SQLITE_CORRUPT', 'store.unavailable', 'the database file is damaged'],
  ['SQLITE_NOTADB', 'store.unavailable', 'the file is no database'],
  ['SQLITE_READONLY', 'store.unavailable', 'the database file cannot be written'],
  ['SQLITE_CANTOPEN', 'store.unavailable', 'the database file cannot be opened'],
];

/** `node:sqlite` tells SQLite's result code by number (sqlite.org/rescode.html), libsql by name. */
const names: Readonly<Record<number, string>> = {
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  19: 'SQLITE_CONSTRAINT',
  26: 'SQLITE_NOTADB',
  787: 'SQLITE_CONSTRAINT_FOREIGNKEY',
  1555: 'SQLITE_CONSTRAINT_PRIMARYKEY',
  1811: 'SQLITE_CONSTRAINT_TRIGGER',
  2067: 'SQLITE_CONSTRAINT_UNIQUE',
};

/** The name of SQLite's result code in an error of either engine, or null when it is no such error. */
export function sqliteErrorName(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  // The primary result code is the low byte of an extended one.
  if (typeof errcode === 'number') return names[errcode] ?? names[errcode & 0xff] ?? `SQLITE_${errcode}`;
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : null;
}

/** A failure in words; SQLite names columns, never values. */
export function describeSqliteError(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Any failure of the database as a coded error. TypeORM's own error is dropped on the way, because it carries the
 * statement's parameters, and these may be secrets.
 */
export function translateSqliteError(thrown: unknown): CodedError {
  if (thrown instanceof CodedError) return thrown;
  const error: unknown = thrown instanceof QueryFailedError ? thrown.driverError : thrown;
  const name = sqliteErrorName(error);
  const found = name && meanings.find(([start]) => name.startsWith(start));
  const said = error instanceof Error ? error.message : typeof error;
  // The operating system's own errors (no such directory, no permission) name the system call.
  if (error instanceof Error && 'syscall' in error)
    return new ServiceError({
      code: 'store.unavailable',
      retry: 'operator',
      what: 'the files of the database cannot be used',
      said,
      cause: error,
    });
  if (!found)
    return new ServiceError({
      code: 'internal.bug',
      what: 'the database refused a statement',
      said,
      cause: error,
    });
  const [, code, what] = found;
  return new ServiceError({ code, what, said, cause: error });
}
