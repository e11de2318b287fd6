import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { milliseconds, Secret } from '../../../plugin-api/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import type { MariadbTls } from '../../../src/store/open-mariadb.ts';
import { openStorage, type SqlStorage } from '../../../src/store/open-storage.ts';
import { MariadbServer } from '../../support/mariadb-server.ts';
import { requirePeer } from '../../support/peers.ts';
import { rejectsWith } from '../rejects-with.ts';

describe('storage on MariaDB over TLS', function () {
  this.timeout(60_000);
  const key = { base64: new Secret(randomBytes(32).toString('base64')) };
  let folder: string | null = null;
  let server: MariadbServer | null = null;
  const file = (name: string): string => join(folder!, name);

  before(async function () {
    requirePeer(this, 'mariadbd');
    requirePeer(this, 'openssl');
    folder = mkdtempSync(join(tmpdir(), 'csbm-mariadb-tls-'));
    for (const [name, host] of [
      ['right', 'localhost'],
      ['elsewhere', 'db.example.org'],
    ] as const)
      execFileSync(
        'openssl',
        [
          ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
          ...['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`],
          ...['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)],
        ],
        { stdio: 'ignore' },
      );
  });
  afterEach(async () => {
    await server?.stop();
    server = null;
  });
  after(() => {
    if (folder) rmSync(folder, { recursive: true });
  });

  async function serve(certificate: string | null): Promise<void> {
    server = await MariadbServer.start({
      port: true,
      arguments:
        certificate === null
          ? ['--skip-ssl']
          : [`--ssl-cert=${file(`${certificate}.pem`)}`, `--ssl-key=${file(`${certificate}.key`)}`],
    });
    await server.ask(`CREATE DATABASE csbm; CREATE USER csbm@'%'; GRANT ALL ON csbm.* TO csbm@'%';`);
    if (certificate !== null) await server.ask(`ALTER USER csbm@'%' REQUIRE SSL`);
  }
  const open = (tls: MariadbTls | null): Promise<SqlStorage> =>
    openStorage({
      type: 'mariadb',
      place: { host: 'localhost', port: server!.port!, tls },
      database: 'csbm',
      user: 'csbm',
      key,
      patience: milliseconds(200),
      clock: new SystemClock(),
    });

  it('is used where the server has the certificate that was expected, and never without', async () => {
    await serve('right');
    const storage = await open({ caFile: file('right.pem') });
    assert.deepEqual(await storage.run((tx) => tx.machines.list()), []);
    await storage.close();
    for (const tls of [{}, { caFile: file('elsewhere.pem') }]) {
      const error = await rejectsWith(open(tls), 'store.unavailable');
      assert.equal(error.retry, 'operator', error.message);
      assert.match(error.message, /store\.mariadb\.tls/);
    }
    await rejectsWith(open(null), 'store.unavailable');
  });

  it('is refused where the certificate is of another name', async () => {
    await serve('elsewhere');
    const error = await rejectsWith(open({ caFile: file('elsewhere.pem') }), 'store.unavailable');
    assert.match(error.message, /no secure connection/);
  });

  it('is refused where the server has none', async () => {
    await serve(null);
    const error = await rejectsWith(open({ caFile: file('right.pem') }), 'store.unavailable');
    assert.match(error.message, /no secure connection/);
  });
});
