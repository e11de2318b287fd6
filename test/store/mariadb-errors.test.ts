import assert from 'node:assert/strict';
import { QueryFailedError } from 'typeorm';
import { describeMariadbError, translateMariadbError } from '../../src/store/dialects/mariadb-errors.ts';
import { TransactionLost } from '../../src/store/transactions.ts';

/** As mysql2 makes them. */
function said(errno: number, code: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { errno, code, sqlState: 'HY000', sql: 'secret-value', ...more });
}

describe('errors of MariaDB', () => {
  for (const [name, error, code, why] of [
    [
      'a key that is there',
      said(1062, 'ER_DUP_ENTRY', "Duplicate entry 'x' for key 'k'"),
      'store.conflict',
      null,
    ],
    ['a row that is missing', said(1452, 'ER_NO_REFERENCED_ROW_2', 'fk'), 'store.conflict', null],
    ['a row that is needed', said(1451, 'ER_ROW_IS_REFERENCED_2', 'fk'), 'store.conflict', null],
    ['a deadlock', said(1213, 'ER_LOCK_DEADLOCK', 'Deadlock'), 'store.unavailable', 'contention'],
    ['a lock not given', said(1205, 'ER_LOCK_WAIT_TIMEOUT', 'Lock'), 'store.unavailable', 'contention'],
    [
      'a row changed since',
      said(1020, 'ER_CHECKREAD', 'Record has changed'),
      'store.unavailable',
      'contention',
    ],
    ['a server that goes', said(1053, 'ER_SERVER_SHUTDOWN', 'Shutdown'), 'store.unavailable', 'outage'],
    ['a server that is full up', said(1040, 'ER_CON_COUNT_ERROR', 'Too many'), 'store.unavailable', 'outage'],
    [
      'a server that only reads',
      said(1290, 'ER_OPTION_PREVENTS_STATEMENT', 'ro'),
      'store.unavailable',
      'outage',
    ],
    [
      'nobody there',
      Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
      'store.unavailable',
      'outage',
    ],
    [
      'a connection that broke',
      Object.assign(new Error('lost'), { code: 'PROTOCOL_CONNECTION_LOST', fatal: true }),
      'store.unavailable',
      'outage',
    ],
    ['a full disk', said(1021, 'ER_DISK_FULL', 'Disk full'), 'store.unavailable', null],
    ['a wrong password', said(1045, 'ER_ACCESS_DENIED_ERROR', 'denied'), 'store.unavailable', null],
    ['a text that is too long', said(1406, 'ER_DATA_TOO_LONG', "column 'x'"), 'internal.bug', null],
    ['a statement that is none', said(1064, 'ER_PARSE_ERROR', 'syntax'), 'internal.bug', null],
    ['a parameter that cannot be stored', new TypeError('parameter 1 is an object'), 'internal.bug', null],
  ] as const)
    it(`${name} is ${code}${why === null ? '' : `, after ${why}`}`, () => {
      for (const thrown of [error, new QueryFailedError('SELECT ?', ['secret-value'], error)]) {
        const translated = translateMariadbError(thrown);
        assert.equal(translated.code, code);
        assert.equal(translated instanceof TransactionLost ? translated.why : null, why);
        assert.ok(
          !JSON.stringify([translated, translated.cause, String(translated.cause)]).includes('secret'),
        );
      }
    });

  it('are told without the values that they carry', () => {
    for (const error of [
      said(1062, 'ER_DUP_ENTRY', "Duplicate entry 'it's-secret' for key 'ux_principal_token'"),
      said(
        1366,
        'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
        "Incorrect integer value: 'secret' for column `a`.`b`",
      ),
      said(1064, 'ER_PARSE_ERROR', "You have an error near 'secret' at line 1"),
      said(9999, 'ER_NEW', "Something about 'secret'"),
    ]) {
      const text = describeMariadbError(error);
      assert.ok(!text.includes('secret'), text);
      assert.match(text, /^ER_/);
    }
    const key = describeMariadbError(
      said(1062, 'ER_DUP_ENTRY', "Duplicate entry 'x' for key 'ux_principal_token'"),
    );
    assert.equal(key, "ER_DUP_ENTRY: for key 'ux_principal_token'");
  });
});
