import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stage } from '../../../lab/demo/stage.ts';
import type { LabAnswer } from '../../../lab/management-server/agent-connection.ts';
import {
  destroyCommand,
  startCommand,
  type LabCommand,
  type LabInstance,
} from '../../../lab/management-server/commands.ts';
import type { RestoreView, SurveyView } from '../../../src/cli/admin/api-types.ts';
import { csbm, type Ended } from '../../cli/run-csbm.ts';
import { testStore } from '../../support/temp-database.ts';
import { until } from '../../support/until.ts';

/** The real service process on the floor, whose database becomes an older one. */
describe('a service that comes up on an older state of its database', function () {
  this.timeout(180_000);
  let stage: Stage;
  let directory: string;
  let stays: LabInstance;
  let later: LabInstance;
  let gone: LabInstance;

  before(async function () {
    if (testStore !== 'sqlite') this.skip();
    directory = mkdtempSync(path.join(tmpdir(), 'csbm-restore-'));
    stage = await Stage.start({
      directory,
      machines: 5,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      timings: { bootSeen: '200s' },
      floor: { machine: { pxeFailure: 'stop' } },
    });
    await stage.serve();
    await stage.furnish();
    stays = stage.instance('i-2-1-VM');
    later = stage.instance('i-2-2-VM');
    gone = stage.instance('i-2-3-VM');
    await Promise.all([good('server-1', startCommand(stays)), good('server-3', startCommand(gone))]);
  });

  after(async () => {
    if (testStore !== 'sqlite') return;
    await stage.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function send(name: string, command: LabCommand): Promise<LabAnswer> {
    const host = await stage.host(name);
    await until(() => stage.cloud.hosts().some((one) => one.hostId === host && one.state === 'Up'));
    const [answer] = await stage.cloud.send(host, [command], { timeout: 60_000 });
    return answer!;
  }

  async function good(name: string, command: LabCommand): Promise<void> {
    const answer = await send(name, command);
    assert.equal(answer.result, true, answer.details ?? '');
  }

  const run = (...args: string[]): Promise<Ended> => csbm([...args, '--json']);
  const direct = (...args: string[]): Promise<Ended> => run(...args, '--config', stage.configFile);
  const ask = (...args: string[]): Promise<Ended> =>
    run(...args, '--url', stage.service.adminUrl, '--token-file', stage.tokenFile);

  /** What the admin API says instead of opening a console. */
  async function openConsole(name: string): Promise<string> {
    const authorization = `Bearer ${readFileSync(stage.tokenFile, 'utf8').trim()}`;
    const headers = { authorization, connection: 'Upgrade', upgrade: 'csbm-console/1' };
    const asked = request(`${stage.service.adminUrl}/api/v1/machines/${name}/console`, { headers }).end();
    const opened = once(asked, 'upgrade').then(([, socket]) => {
      (socket as Socket).destroy();
      return 'opened';
    });
    const refused = once(asked, 'response').then(([answer]) => text(answer as IncomingMessage));
    return Promise.race([opened, refused]);
  }

  async function shown(): Promise<RestoreView> {
    const { code, out, err } = await ask('restore', 'show');
    assert.equal(code, 0, err);
    return JSON.parse(out) as RestoreView;
  }

  /** Power, ports and disks of every machine, and who is heard in which network. */
  const floor = (): unknown =>
    stage.floor.table().map(({ disks, leases, machine, ports, power }) => ({
      machine,
      power,
      disks,
      ports,
      leases: leases.map(({ address, mac, vlan }) => ({ address, mac, vlan })),
    }));

  const database = (): string => path.join(directory, 'state', 'csbm.sqlite');

  it('names what differs, touches nothing, and goes to work once a person has accepted', async () => {
    const file = path.join(directory, 'monday.csbm-backup');
    const key = path.join(directory, 'monday.key');
    const written = await direct('backup', file, '--with-key', key);
    assert.equal(written.code, 0, written.err);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(
      readFileSync(key, 'utf8'),
      readFileSync(path.join(directory, 'state', 'secret.key'), 'utf8'),
    );
    await Promise.all([good('server-2', startCommand(later)), good('server-3', destroyCommand(gone))]);

    const running = await direct('restore', file);
    assert.match(running.out, /store\.locked/, 'a service that runs must keep a restore out');
    await until(() => stage.floor.find('server-3').machine.power() === 'off', 'the end of the erase');
    await until(async () => {
      const { operations } = (await stage.admin.call('GET', '/operations?active=1')) as {
        operations: unknown[];
      };
      return operations.length === 0;
    }, 'no operation');
    await until(() => stage.floor.table()[1]!.leases.length > 0, 'the lease of the later instance');
    await stage.service.stop();
    const before = floor();
    const restored = await direct('restore', file);
    assert.equal(restored.code, 0, restored.err);
    const { aside } = JSON.parse(restored.out) as { aside: string };
    assert.ok(existsSync(aside), 'the old database is kept');

    await stage.serve();
    const report = await shown();
    assert.match(report.pending!.why, /restored from a backup/);
    assert.deepEqual(
      report.machines.map(({ differences, hostname }) => [
        hostname,
        [...new Set(differences.map(({ kind }) => kind))],
      ]),
      [
        ['server-2', ['history', 'power', 'ports']],
        ['server-3', ['history', 'power', 'ports']],
      ],
    );
    assert.match(
      report.machines[0]!.differences.map(({ what }) => what).join(),
      /native 200.*VLANs of an instance that the database does not know/,
    );
    const refused = await send('server-4', startCommand(stage.instance('i-2-4-VM')));
    assert.equal(refused.result, false);
    assert.match(refused.details ?? '', /restore\.pending/);
    const byHand = await ask('machine', 'erase', 'server-4', '--yes').catch(() => null);
    assert.notEqual(byHand?.code, 0);
    assert.match(
      await openConsole('server-2'),
      /restore\.pending/,
      'what is typed there changes the machine',
    );
    const told = JSON.parse((await ask('doctor', '--quick')).out) as SurveyView;
    assert.deepEqual(
      told.findings.map(({ code }) => code).filter((code) => code.startsWith('restore.')),
      ['restore.pending'],
    );
    assert.deepEqual(floor(), before);

    const accepted = await ask('restore', 'accept', 'server-3=adopt');
    assert.equal(accepted.code, 0, accepted.err);
    assert.match(accepted.out, /server-2[^}]*quarantined, ports untouched/s);
    assert.equal((await shown()).pending, null);
    assert.deepEqual(floor(), before);
    for (const name of ['server-2', 'server-3']) {
      const { machine } = await stage.admin.call('GET', `/machines/${name}`);
      assert.equal((machine as { quarantine: { code: string } }).quarantine.code, 'restore.difference', name);
    }

    await good('server-4', startCommand(stage.instance('i-2-4-VM')));
    const now = floor() as { machine: string; leases: readonly object[] }[];
    const others = (rows: unknown): unknown =>
      (rows as { machine: string }[]).filter(({ machine }) => machine !== 'server-4');
    assert.deepEqual(others(now), others(before));
    assert.deepEqual(stage.floor.oracle.violations, []);
  });

  it('does not go on with a half-done Start of a database file put back by hand', async () => {
    const half = stage.instance('i-2-5-VM');
    await stage.service.stop();
    await stage.serve({ CSBM_TEST_CRASH_AT: 'start-first:deploy.power-on:intent' });
    const lost = stage.cloud.send(await stage.host('server-5'), [startCommand(half)]);
    lost.catch(() => undefined);
    assert.equal(await stage.service.exited, 'SIGKILL');
    const kept = path.join(directory, 'by-hand.sqlite');
    for (const end of ['', '-wal'])
      if (existsSync(database() + end)) copyFileSync(database() + end, kept + end);
    await stage.serve();
    await good('server-5', startCommand(half));
    await until(() => stage.floor.table()[4]!.leases.length > 0, 'the lease');
    await good('server-1', destroyCommand(stays));
    await until(async () => {
      const { operations } = (await stage.admin.call('GET', '/operations?active=1')) as {
        operations: unknown[];
      };
      return operations.length === 0;
    }, 'no operation');
    await stage.service.stop();
    for (const end of ['-wal', '-shm']) rmSync(database() + end, { force: true });
    for (const end of ['', '-wal']) if (existsSync(kept + end)) copyFileSync(kept + end, database() + end);
    const before = floor();

    await stage.serve();
    const report = await shown();
    const kinds = new Map(
      report.machines.map(({ differences, hostname }) => [hostname, differences.map(({ kind }) => kind)]),
    );
    assert.ok(kinds.get('server-5')!.includes('operation'));
    assert.ok(kinds.get('server-1')!.includes('history'));
    const keep = await ask('restore', 'accept', 'server-5=keep');
    assert.match(keep.out, /request\.invalid/, 'a half-done Start is no state to keep');
    const accepted = await ask('restore', 'accept', 'server-5=adopt:cloudstack/i-2-5-VM');
    assert.equal(accepted.code, 0, accepted.err + accepted.out);
    assert.deepEqual(floor(), before);
    const { operations } = (await stage.admin.call('GET', '/operations?machine=server-5')) as {
      operations: { kind: string; error: { code: string } | null }[];
    };
    assert.equal(operations[0]!.error?.code, 'restore.not-resumed');
    // Restarted, it is a service like any other.
    await stage.service.stop();
    await stage.serve();
    assert.equal((await shown()).pending, null);
    assert.deepEqual(floor(), before);
    assert.deepEqual(stage.floor.oracle.violations, []);
  });
});
