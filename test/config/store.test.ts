import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { minutes, seconds } from '../../plugin-api/index.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';

const env = { PASSWORD: 'database-password' };

describe('configuration of the database', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-store-config-'));
  after(() => rmSync(folder, { recursive: true }));

  const load = (text: string, more: Record<string, string> = {}) => {
    const path = join(folder, 'csbm.yaml');
    writeFileSync(path, `store: ${text}\n`);
    return loadConfig({ path, env: { ...env, ...more } }).config.store;
  };
  const refuses = (text: string, key: string): void =>
    assert.throws(
      () => load(text),
      (error) =>
        error instanceof ConfigError &&
        error.problems.some((problem) => problem.key === key) &&
        !error.message.includes('database-password'),
      text,
    );

  it('is SQLite unless told otherwise', () => {
    assert.equal(load('{}').type, 'sqlite');
  });

  it('is a MariaDB on this machine with little said', () => {
    const { type, mariadb } = load('{type: mariadb, mariadb: {password: env:PASSWORD}}');
    assert.equal(type, 'mariadb');
    assert.equal(mariadb.password?.reveal(), 'database-password');
    assert.deepEqual(mariadb, {
      password: mariadb.password,
      host: '127.0.0.1',
      port: 3306,
      database: 'csbm',
      user: 'csbm',
      tls: { enabled: false },
      connections: 10,
      connectTimeout: seconds(10),
      lockWait: seconds(5),
      patience: seconds(30),
      migrationWait: minutes(5),
    });
  });

  it('is all told by the environment too', () => {
    const { type, mariadb } = load('{}', {
      CSBM_STORE_TYPE: 'mariadb',
      CSBM_STORE_MARIADB_SOCKET: '/run/mysqld/mysqld.sock',
      CSBM_STORE_MARIADB_PASSWORD: 'from-environment',
    });
    assert.equal(type, 'mariadb');
    assert.equal(mariadb.socket, '/run/mysqld/mysqld.sock');
    assert.equal(mariadb.password?.reveal(), 'from-environment');
  });

  it('takes no password that stands in the file', () => {
    refuses('{type: mariadb, mariadb: {password: database-password}}', 'store.mariadb.password');
  });

  it('wants a name under TLS, and both files of a client certificate', () => {
    refuses('{mariadb: {host: 10.0.0.1, tls: {enabled: true}}}', 'store.mariadb.host');
    refuses('{mariadb: {host: db, tls: {enabled: true, certFile: c.pem}}}', 'store.mariadb.tls.certFile');
    assert.equal(load('{mariadb: {host: db, tls: {enabled: true}}}').mariadb.tls.enabled, true);
  });
});
