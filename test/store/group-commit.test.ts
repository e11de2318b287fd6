import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteTransactions } from '../../src/store/dialects/sqlite-transactions.ts';
import { openSqliteHandle, type SqliteHandle } from '../../src/store/sqlite-handle.ts';

const atOnce = 200;

describe('transactions of SQLite that are asked for at once', () => {
  let directory: string;
  let handle: SqliteHandle;
  let transactions: SqliteTransactions;
  /** Transactions that were brought to the disk. */
  let commits = 0;
  let failCommit: ((nth: number) => boolean) | null = null;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'csbm-group-'));
    handle = openSqliteHandle(join(directory, 'csbm.db'));
    handle.exec('CREATE TABLE note (n INTEGER PRIMARY KEY)');
    commits = 0;
    failCommit = null;
    const counted: SqliteHandle = {
      ...handle,
      prepare: (sql) => {
        const statement = handle.prepare(sql);
        if (sql !== 'COMMIT') return statement;
        return {
          ...statement,
          run: () => {
            if (failCommit?.(commits)) throw new Error('the disk is full');
            commits += 1;
            return statement.run();
          },
        };
      },
    };
    transactions = new SqliteTransactions(counted, () => undefined);
  });
  afterEach(() => {
    handle.close();
    rmSync(directory, { recursive: true });
  });

  const write = (n: number, fails = false): Promise<number> =>
    transactions.within(async (transaction) => {
      await transaction.execute('INSERT INTO note (n) VALUES (?)', [n]);
      if (fails) throw new Error(`note ${n} is not to be`);
      return n;
    });
  const stored = (): readonly unknown[] =>
    handle
      .prepare('SELECT n FROM note ORDER BY n')
      .all()
      .map(({ n }) => n);
  const numbers = (length: number): number[] => Array.from({ length }, (_, n) => n);

  it('are brought to the disk together, all but the first few', async () => {
    await Promise.all(numbers(atOnce).map((n) => write(n)));
    assert.deepEqual(stored(), numbers(atOnce));
    assert.ok(commits < 20, `${commits} transactions for ${atOnce}`);
  });

  it('are told done only when they are on the disk', async () => {
    const outside = openSqliteHandle(join(directory, 'csbm.db'), { journal: 'keep' });
    try {
      const seen = await Promise.all(
        numbers(atOnce).map(async (n) => {
          await write(n);
          return outside.prepare('SELECT n FROM note WHERE n = ?').all(n).length;
        }),
      );
      assert.deepEqual(new Set(seen), new Set([1]));
    } finally {
      outside.close();
    }
  });

  it('leave nothing of one that fails, and everything of the others', async () => {
    const failing = (n: number): boolean => n % 7 === 3;
    const outcomes = await Promise.allSettled(numbers(atOnce).map((n) => write(n, failing(n))));
    for (const [n, { status }] of outcomes.entries())
      assert.equal(status, failing(n) ? 'rejected' : 'fulfilled', `note ${n}`);
    assert.deepEqual(
      stored(),
      numbers(atOnce).filter((n) => !failing(n)),
    );
  });

  it('all fail where the disk does not take them, and the next ones go on', async () => {
    failCommit = (nth) => nth >= 4;
    const outcomes = await Promise.allSettled(numbers(atOnce).map((n) => write(n)));
    const done = outcomes.flatMap(({ status }, n) => (status === 'fulfilled' ? [n] : []));
    assert.deepEqual(stored(), done);
    assert.equal(done.length, 4);
    failCommit = null;
    await write(1_000);
    assert.deepEqual(stored(), [...done, 1_000]);
  });

  it('that fail leave no transaction behind when they are over', async () => {
    for (let n = 0; n < 20; n += 1) {
      await assert.rejects(write(n, true), /is not to be/);
      // Refused as long as a transaction is open.
      handle.exec('BEGIN IMMEDIATE');
      handle.exec('COMMIT');
    }
  });

  it('are each by itself when they come one after the other', async () => {
    for (const n of numbers(10)) await write(n);
    assert.equal(commits, 10);
  });
});
