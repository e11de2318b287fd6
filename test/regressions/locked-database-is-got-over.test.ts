import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CodedError } from '../../plugin-api/index.ts';
import { SqliteTransactions } from '../../src/store/dialects/sqlite-transactions.ts';
import { openSqliteHandle, type SqliteHandle } from '../../src/store/sqlite-handle.ts';

// A write that met the lock of another connection stayed "in progress" in libsql, and from then on every COMMIT of another
// statement was refused: the service had to be started again. Found by `make chaos`.
describe('a database that was locked by somebody else for a while', () => {
  let folder: string;
  let ours: SqliteHandle;
  let other: SqliteHandle;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'csbm-locked-'));
    const file = path.join(folder, 'csbm.sqlite');
    ours = openSqliteHandle(file, { busyTimeout: 20 });
    other = openSqliteHandle(file);
    ours.exec('CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT)');
  });

  afterEach(() => {
    ours.close();
    other.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('takes every kind of statement again once the lock is gone', async () => {
    const transactions = new SqliteTransactions(ours, () => undefined);
    const say = (statement: string, ...parameters: unknown[]) =>
      transactions.within((transaction) => transaction.execute(statement, parameters));
    const insert = () => say('INSERT INTO row (text) VALUES (?)', 'one');
    const change = () => say('UPDATE row SET text = ?', 'two');
    await insert();
    other.exec('BEGIN EXCLUSIVE');
    for (const refused of [insert, change])
      await assert.rejects(refused, (error: unknown) => (error as CodedError).code === 'store.unavailable');
    other.exec('ROLLBACK');
    await say('DELETE FROM row WHERE text = ?', 'nothing');
    await insert();
    await change();
    const { rows } = await say('SELECT text FROM row');
    assert.deepEqual(
      rows.map(({ text }) => text),
      ['two', 'two'],
    );
  });
});
