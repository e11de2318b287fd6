import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load-config.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { startService, type Service, type ServiceOptions } from '../../src/main.ts';
import { csbm, startCsbm } from '../cli/run-csbm.ts';
import { until } from '../support/until.ts';

const base = 'stateDir: ./state\nboot: {port: 0}\ntimings: {scale: 50}\n';

/**
 * A signal that came during the start was heeded only once the service was up, and a start that failed left open what it had opened: the
 * process stayed, with the lock of the database.
 */
describe('a start that is broken off', function () {
  this.timeout(120_000);
  let folder: string;
  let children: ChildProcess[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-start-'));
    children = [];
  });
  afterEach(async () => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const configure = (text: string): void => writeFileSync(join(folder, 'csbm.yaml'), base + text);
  const serviceOptions = (): ServiceOptions => {
    const { config } = loadConfig({ env: {}, cwd: folder });
    const log = createLog({ level: 'debug', destination: { write: () => undefined } });
    return { config, log, env: {} };
  };
  const launch = () => {
    const child = startCsbm(['serve', '--json'], { cwd: folder });
    children.push(child);
    const said = { out: '', err: '' };
    child.stdout!.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
    return { child, said, closed: once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]> };
  };
  /** What would keep a process from ending, besides what the test runner has of its own. */
  const resources = (): string => {
    const kept = ['TCPServerWrap', 'TCPSocketWrap', 'ProcessWrap', 'UDPWrap'];
    return process
      .getActiveResourcesInfo()
      .filter((kind) => kept.includes(kind))
      .sort()
      .join();
  };

  it('ends with everything closed, at whichever moment it is', async () => {
    configure('http: {port: 0}\n');
    let broken = 0;
    for (let turns = 0; ; turns = Math.ceil(turns * 1.5) + 1) {
      const before = resources();
      const stopping = new AbortController();
      const reason = new Error('told to stop');
      const countdown = (left: number): void => {
        if (left === 0) stopping.abort(reason);
        else setImmediate(countdown, left - 1);
      };
      countdown(turns);
      const started = await startService({ ...serviceOptions(), signal: stopping.signal }).catch(
        (thrown: unknown) => thrown,
      );
      if (!(started instanceof Error)) {
        await (started as Service).stop();
        break;
      }
      assert.equal(started, reason, `after ${turns} turns`);
      broken += 1;
      assert.ok(!existsSync(join(folder, 'state', 'csbm.sqlite.pid')), `the lock, after ${turns} turns`);
      await until(() => resources() === before, `nothing to be open any more, after ${turns} turns`, 5_000);
    }
    assert.ok(broken > 5, `broken off at ${broken} moments`);
  });

  it('by SIGTERM ends the process, and the next one can start', async () => {
    configure('http: {port: 0}\n');
    for (const file of ['csbm.sqlite.pid', 'admin.token']) {
      rmSync(join(folder, 'state'), { recursive: true, force: true });
      const { child, said, closed } = launch();
      await until(() => existsSync(join(folder, 'state', file)), file);
      child.kill('SIGTERM');
      assert.deepEqual(await closed, [0, null], said.err);
      assert.ok(!existsSync(join(folder, 'state', 'csbm.sqlite.pid')));
    }
  });

  it('by SIGTERM does not wait for a database that is not there', async () => {
    const nobody = createServer().listen(0, '127.0.0.1');
    await once(nobody, 'listening');
    const { port } = nobody.address() as AddressInfo;
    nobody.close();
    configure(`http: {port: 0}\nstore: {type: mariadb, mariadb: {port: ${port}, patience: 1h}}\n`);
    const { child, said, closed } = launch();
    await until(() => said.err.includes('waiting for the database'), 'the wait');
    child.kill('SIGTERM');
    assert.deepEqual(await closed, [0, null]);
    assert.match(said.err, /SIGTERM: stopped before it was up/);
  });

  it('by SIGINT does not wait for devices that are compared with a restored database', async () => {
    const silent = createSocket('udp4');
    await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
    try {
      configure('http: {port: 0}\npower: {settings: {answerTimeouts: [600000]}}\n');
      const file = join(folder, 'state', 'csbm.sqlite');
      const first = await startService(serviceOptions());
      const bmc = ['--bmc', `127.0.0.1:${silent.address().port}`, '--bmc-user', 'admin'];
      const enrolled = await csbm(['machine', 'enrol', 'node-1', '--mac', '52:54:00:aa:00:01', ...bmc], {
        cwd: folder,
        env: {
          CSBM_URL: first.adminUrl,
          CSBM_TOKEN_FILE: first.adminTokenFile!,
          CSBM_BMC_PASSWORD: 'secret',
        },
      });
      assert.equal(enrolled.code, 0, enrolled.err);
      await first.stop();
      copyFileSync(file, join(folder, 'older.sqlite'));
      await (await startService(serviceOptions())).stop();
      copyFileSync(join(folder, 'older.sqlite'), file);

      const asked = once(silent, 'message');
      const { child, said, closed } = launch();
      await asked;
      child.kill('SIGINT');
      assert.deepEqual(await closed, [0, null], said.err);
      assert.match(said.err, /the database is an older state/);
      assert.match(said.err, /SIGINT: stopped before it was up/);
    } finally {
      silent.close();
    }
  });

  it('by a port that is taken ends the process, which says so', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      configure(`http: {port: ${(other.address() as AddressInfo).port}}\n`);
      const { said, closed } = launch();
      assert.deepEqual(await closed, [1, null]);
      assert.match(said.err, /somebody else listens there/);
      assert.ok(!existsSync(join(folder, 'state', 'csbm.sqlite.pid')));
    } finally {
      other.close();
    }
  });
});
