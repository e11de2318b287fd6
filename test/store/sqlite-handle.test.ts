import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { countParameters, openSqliteHandle, type SqliteHandle } from '../../src/store/sqlite-handle.ts';
import { engines, requireEngine } from './engines.ts';

for (const engine of engines) {
  describe(`strict SQLite handle on ${engine}`, () => {
    let directory: string;
    let handle: SqliteHandle;

    before(function () {
      requireEngine(this, engine);
      directory = mkdtempSync(join(tmpdir(), 'csbm-handle-'));
      handle = openSqliteHandle(join(directory, 'test.db'), { engine });
      handle.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, value)');
    });

    after(() => {
      // Undefined where the engine is absent and `before` skipped.
      (handle as SqliteHandle | undefined)?.close();
      if (directory) rmSync(directory, { recursive: true });
    });

    const stored = (value: unknown): unknown => {
      handle.exec('DELETE FROM t');
      handle.prepare('INSERT INTO t VALUES (?, ?)').run(1, value);
      return handle.prepare('SELECT value FROM t WHERE id = ?').all(1)[0]!['value'];
    };

    it('is durable, waits for locks and keeps foreign keys', () => {
      const read = (name: string): unknown => Object.values(handle.pragma(name)[0]!)[0];
      assert.equal(read('journal_mode'), 'wal');
      assert.equal(read('synchronous'), 2);
      assert.equal(read('busy_timeout'), 5_000);
      assert.equal(read('foreign_keys'), 1);
    });

    it('tells statements that return rows', () => {
      assert.equal(handle.prepare('SELECT 1').reader, true);
      assert.equal(handle.prepare('DELETE FROM t').reader, false);
    });

    it('counts changes', () => {
      handle.exec('DELETE FROM t');
      handle.prepare('INSERT INTO t VALUES (?, ?), (?, ?)').run(1, 'a', 2, 'b');
      assert.equal(handle.prepare('UPDATE t SET value = ?').run('c').changes, 2);
    });

    it('stores booleans as 0 and 1, bytes as bytes, and a lone parameter as itself', () => {
      assert.equal(stored(true), 1);
      assert.equal(stored(false), 0);
      assert.deepEqual(
        Buffer.from(stored(new Uint8Array([1, 2, 255])) as Uint8Array),
        Buffer.from([1, 2, 255]),
      );
      handle.exec('DELETE FROM t');
      handle.prepare('INSERT INTO t (value) VALUES (?)').run(Buffer.from('lone'));
      assert.equal(handle.prepare('SELECT value FROM t').all().length, 1);
    });

    it('gives back every text, safe whole number and fraction as it was', () => {
      fc.assert(
        fc.property(
          fc.oneof(
            fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
            fc.maxSafeInteger(),
            fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => !Number.isInteger(n)),
          ),
          (value) => assert.deepEqual(stored(value), value),
        ),
        { numRuns: 60 },
      );
    });

    for (const [name, value] of [
      ['a Date', new Date()],
      ['undefined', undefined],
      ['NaN', Number.NaN],
      ['infinity', Infinity],
      ['a number beyond 2^53', 2 ** 60],
      ['a text with a NUL', 'a\0b'],
      ['half a surrogate pair', 'a\ud800'],
      ['an object', { id: 1 }],
      ['an array', [1]],
      ['a bigint', 1n],
    ] as const) {
      it(`refuses ${name}`, () => {
        handle.exec('DELETE FROM t');
        const insert = handle.prepare('INSERT INTO t VALUES (?, ?)');
        assert.throws(() => insert.run(1, value), TypeError);
        assert.deepEqual(handle.prepare('SELECT * FROM t').all(), []);
      });
    }

    it('refuses too few and too many parameters', () => {
      const insert = handle.prepare('INSERT INTO t VALUES (?, ?)');
      assert.throws(() => insert.run(7), TypeError);
      assert.throws(() => insert.run(7, 8, 9), TypeError);
      assert.throws(() => handle.prepare('SELECT 1').all(1), TypeError);
    });
  });
}

describe('placeholders of a statement', () => {
  it('are counted outside of strings, quoted names and comments', () => {
    const sql = `SELECT '?''?', "a?", \`b?\`, [c?] -- ?\n FROM t /* ? */ WHERE a = ? AND b IN (?, ?)`;
    assert.equal(countParameters(sql), 3);
  });
});
