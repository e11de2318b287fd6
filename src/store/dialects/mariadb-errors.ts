import { QueryFailedError } from 'typeorm';
import { CodedError } from '../../../plugin-api/index.ts';
import { ServiceError, type ServiceCode } from '../../kernel/errors/service-error.ts';
import { TransactionLost } from '../transactions.ts';

/** What mysql2 says of a failure; `errno` is the server's own number (mariadb.com/kb/en/mariadb-error-code-reference). */
interface DriverError extends Error {
  readonly code?: string;
  readonly errno?: number;
  readonly sqlState?: string;
  /** The connection is gone with it. */
  readonly fatal?: boolean;
}

interface Meaning {
  readonly code: ServiceCode;
  readonly what: string;
  readonly remedy?: string;
}

const there: Meaning = { code: 'store.conflict', what: 'such a row is there already' };
const refers: Meaning = {
  code: 'store.conflict',
  what: 'the row refers to another that is not there, or is still referred to',
};
const full: Meaning = { code: 'store.unavailable', what: 'the disk of the database is full' };
const refused: Meaning = {
  code: 'store.unavailable',
  what: 'the database server refuses csbm',
  remedy: 'check store.mariadb: user, password, database, and what the user is granted',
};
const rule: Meaning = { code: 'internal.bug', what: 'the row breaks a rule of its table' };

const meanings: Readonly<Record<number, Meaning>> = {
  1062: there, // ER_DUP_ENTRY
  1586: there, // ER_DUP_ENTRY_WITH_KEY_NAME
  1216: refers, // ER_NO_REFERENCED_ROW
  1217: refers, // ER_ROW_IS_REFERENCED
  1451: refers, // ER_ROW_IS_REFERENCED_2
  1452: refers, // ER_NO_REFERENCED_ROW_2
  1021: full, // ER_DISK_FULL
  1114: full, // ER_RECORD_FILE_FULL
  1044: refused, // ER_DBACCESS_DENIED_ERROR
  1045: refused, // ER_ACCESS_DENIED_ERROR
  1049: refused, // ER_BAD_DB_ERROR
  1130: refused, // ER_HOST_NOT_PRIVILEGED
  1142: refused, // ER_TABLEACCESS_DENIED_ERROR
  1698: refused, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
  1048: rule, // ER_BAD_NULL_ERROR
  1264: rule, // ER_WARN_DATA_OUT_OF_RANGE
  1366: rule, // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
  1406: rule, // ER_DATA_TOO_LONG
  1153: {
    code: 'store.unavailable',
    what: 'a text is larger than the database server takes',
    remedy: 'raise max_allowed_packet of the server to 64M or more',
  },
};

/** The transaction was rolled back, or is to be, for the sake of another; on Galera that may come as late as at COMMIT. */
const contention: ReadonlySet<number> = new Set([
  1213, // ER_LOCK_DEADLOCK
  1205, // ER_LOCK_WAIT_TIMEOUT
  1020, // ER_CHECKREAD
]);

/** The server is going, coming, full up, or not the one that takes writes at the moment. */
const outage: ReadonlySet<number> = new Set([
  1040, // ER_CON_COUNT_ERROR
  1047, // ER_UNKNOWN_COM_ERROR: a Galera node without its cluster
  1053, // ER_SERVER_SHUTDOWN
  1158, // ER_NET_READ_ERROR
  1159, // ER_NET_READ_INTERRUPTED
  1160, // ER_NET_ERROR_ON_WRITE
  1161, // ER_NET_WRITE_INTERRUPTED
  1203, // ER_TOO_MANY_USER_CONNECTIONS
  1290, // ER_OPTION_PREVENTS_STATEMENT: read_only
  1317, // ER_QUERY_INTERRUPTED
  1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
  1836, // ER_READ_ONLY_MODE
  1927, // ER_CONNECTION_KILLED
  1969, // ER_STATEMENT_TIMEOUT
]);

/** Failures of the network by Node's names, and of mysql2's own. */
const network: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOENT', 'EAGAIN'],
  ...['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['PROTOCOL_CONNECTION_LOST', 'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR', 'PROTOCOL_SEQUENCE_TIMEOUT'],
]);

/** Of these the server's text holds names of tables and columns only; the text of others may hold values, which may be secrets. */
const harmless: ReadonlySet<number> = new Set([
  ...[1044, 1045, 1049, 1130, 1142, 1698, 1216, 1217, 1451, 1452, 1205, 1213, 1020, 1021, 1114, 1153],
  ...[1040, 1047, 1053, 1054, 1091, 1146, 1203, 1290, 1836, 1927, 1048],
]);

/** A failure in words that hold no value of any row. */
export function describeMariadbError(thrown: unknown): string {
  const error = driverError(thrown);
  if (!error) return thrown instanceof Error ? thrown.message : typeof thrown;
  const { code = 'error', errno, message } = error;
  if (errno === undefined || error.sqlState === undefined) return message;
  if (errno === 1062) return `${code}: ${/for key '[^']*'$/.exec(message)?.[0] ?? 'duplicate entry'}`;
  return harmless.has(errno) ? `${code}: ${message}` : `${code} (${errno})`;
}

/** Whether the connection is of no use any more. */
export function connectionGone(thrown: unknown): boolean {
  const error = driverError(thrown);
  return (
    error !== null &&
    (error.fatal === true ||
      network.has(error.code ?? '') ||
      error.errno === 1053 ||
      error.errno === 1927 ||
      /closed state/.test(error.message))
  );
}

/**
 * Any failure of the database as a coded error. The driver's own error is dropped on the way, because it carries the
 * statement, and its text may carry values.
 */
export function translateMariadbError(thrown: unknown): CodedError {
  if (thrown instanceof CodedError) return thrown;
  const error = driverError(thrown);
  const said = describeMariadbError(thrown);
  const cause = new Error(said);
  if (!error) {
    // A mistake of ours: where it was made helps, and it says nothing of the statement.
    const own = thrown instanceof Error && !(thrown instanceof QueryFailedError) ? thrown : cause;
    return new ServiceError({
      code: 'internal.bug',
      what: 'the database refused a statement',
      said,
      cause: own,
    });
  }
  const { errno = 0 } = error;
  if (contention.has(errno)) return new TransactionLost('contention', said, cause);
  const found = meanings[errno];
  if (found) {
    const operator = found === full || found === refused;
    return new ServiceError({ ...found, said, cause, ...(operator && { retry: 'operator' as const }) });
  }
  if (isTlsFailure(error)) {
    return new ServiceError({
      code: 'store.unavailable',
      retry: 'operator',
      what: 'no secure connection to the database server',
      said,
      remedy: 'check store.mariadb.tls, and the certificate of the server',
      cause,
    });
  }
  if (outage.has(errno) || connectionGone(error)) return new TransactionLost('outage', said, cause);
  return new ServiceError({ code: 'internal.bug', what: 'the database refused a statement', said, cause });
}

/** OpenSSL's verdicts on certificates come as codes of their own; mysql2 marks its own with HANDSHAKE. */
function isTlsFailure({ code = '' }: DriverError): boolean {
  return /^(ERR_(SSL|TLS)|ERR_OSSL|HANDSHAKE_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/.test(code);
}

function driverError(thrown: unknown): DriverError | null {
  const error: unknown = thrown instanceof QueryFailedError ? thrown.driverError : thrown;
  if (!(error instanceof Error)) return null;
  const { code, fatal } = error as DriverError;
  const known = typeof code === 'string' && !code.startsWith('ERR_INVALID_ARG');
  return known || fatal === true || /closed state/.test(error.message) ? error : null;
}
