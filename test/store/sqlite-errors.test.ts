import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QueryFailedError } from 'typeorm';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { translateSqliteError } from '../../src/store/dialects/sqlite-errors.ts';
import { openSqliteHandle, type SqliteHandle } from '../../src/store/sqlite-handle.ts';
import { engines, requireEngine } from './engines.ts';

for (const engine of engines) {
  describe(`errors of SQLite on ${engine}`, () => {
    let directory: string;
    const handles: SqliteHandle[] = [];

    before(function () {
      requireEngine(this, engine);
    });
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'csbm-errors-'));
    });
    afterEach(() => {
      for (const handle of handles.splice(0)) handle.close();
      rmSync(directory, { recursive: true });
    });

    const open = (): SqliteHandle => {
      const handle = openSqliteHandle(join(directory, 'test.db'), { engine, busyTimeout: 0 });
      handles.push(handle);
      return handle;
    };
    const codeOf = (statement: () => unknown): string => {
      try {
        statement();
      } catch (error) {
        return translateSqliteError(error).code;
      }
      return 'accepted';
    };

    it('become conflicts where rows stand against each other, and faults of ours where they break a rule', () => {
      const handle = open();
      handle.exec(`CREATE TABLE a (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n TEXT NOT NULL);
        CREATE TABLE b (a INTEGER REFERENCES a ON DELETE RESTRICT);
        CREATE TABLE c (t TEXT PRIMARY KEY);
        INSERT INTO a VALUES (1, 'u', 'n'), (2, 'v', 'n'); INSERT INTO b VALUES (1); INSERT INTO c VALUES ('t')`);
      const run = (sql: string): string => codeOf(() => handle.prepare(sql).run());
      assert.equal(run(`INSERT INTO a VALUES (1, 'w', 'n')`), 'store.conflict');
      assert.equal(run(`INSERT INTO a VALUES (3, 'u', 'n')`), 'store.conflict');
      assert.equal(run(`INSERT INTO c VALUES ('t')`), 'store.conflict');
      assert.equal(run(`INSERT INTO b VALUES (9)`), 'store.conflict');
      assert.equal(run(`DELETE FROM a WHERE id = 1`), 'store.conflict');
      assert.equal(run(`INSERT INTO a VALUES (3, 'w', NULL)`), 'internal.bug');
      assert.equal(run(`DELETE FROM a WHERE id = 2`), 'accepted');
    });

    it('become unavailability when somebody else holds the file', () => {
      const [first, second] = [open(), open()];
      first.exec('CREATE TABLE t (id INTEGER)');
      first.exec('BEGIN IMMEDIATE');
      assert.equal(
        codeOf(() => second.exec('BEGIN IMMEDIATE')),
        'store.unavailable',
      );
      first.exec('ROLLBACK');
      second.exec('BEGIN IMMEDIATE');
      second.exec('ROLLBACK');
    });
  });
}

describe('errors of the database', () => {
  it('lose the parameters that TypeORM puts into them', () => {
    const failed = new QueryFailedError('UPDATE t SET p = ?', ['hunter2'], new TypeError('refused'));
    const translated = translateSqliteError(failed);
    assert.equal(translated.code, 'internal.bug');
    for (let error: unknown = translated; error instanceof Error; error = error.cause) {
      assert.ok(!(error instanceof QueryFailedError));
      assert.ok(!JSON.stringify(error, Object.getOwnPropertyNames(error)).includes('hunter2'));
    }
  });

  it('that are coded already stay as they are', () => {
    const coded = new ServiceError({ code: 'store.locked', what: 'x' });
    assert.equal(translateSqliteError(coded), coded);
  });
});
