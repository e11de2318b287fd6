import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stage } from '../../../lab/demo/stage.ts';
import type { FloorMachine } from '../../../lab/floor/index.ts';
import { shutdownCommand, startCommand, stopCommand } from '../../../lab/management-server/commands.ts';
import { LabManagementServer } from '../../../lab/management-server/lab-management-server.ts';
import { launchLocally } from '../../support/local-service.ts';
import { until } from '../../support/until.ts';
import { hosts } from './server-pair.ts';

type Json = Readonly<Record<string, unknown>>;

/** The real service and a floor: only the first management server is configured, the other one is told by it. */
describe('a management server dies in the middle of a Start', function () {
  this.timeout(60_000);
  let directory: string;
  let stage: Stage;
  let machine: FloorMachine;
  let guid: string;
  let port: number;
  let host: bigint;
  let installs = 0;
  const extra: LabManagementServer[] = [];

  before(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'csbm-fail-over-'));
    stage = await Stage.start({
      directory,
      machines: 1,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      launch: launchLocally,
      pingInterval: 1,
      timings: { bootSeen: '160s', deployStalled: '160s' },
    });
    stage.cloud.behaviours.servers = servers;
    await stage.serve();
    await stage.furnish();
    host = await stage.host('server-1');
    guid = stage.cloud.hosts()[0]!.guid;
    ({ port } = stage.cloud.address);
    machine = stage.floor.find('server-1');
    machine.machine.events.on('installing', () => {
      installs += 1;
    });
    // Long enough for everything that has to happen meanwhile.
    machine.machine.behaviours.add({ kind: 'slow', factor: 3 });
  });

  after(async () => {
    await stage.stop();
    await Promise.all(extra.map((server) => server.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  const servers = { hosts, avoid: [], algorithm: 'static', checkInterval: 0 } as const;

  /** Another server of the same cluster, at the same port. */
  async function successor(address: string, mgmtId: bigint): Promise<LabManagementServer> {
    const { authority, cluster } = stage.cloud;
    const server = new LabManagementServer({
      host: address,
      port,
      authority,
      cluster,
      mgmtId,
      pingInterval: 1,
    });
    server.behaviours.servers = servers;
    await server.start();
    extra.push(server);
    return server;
  }

  async function installing(): Promise<void> {
    await until(async () => {
      const { operations } = (await stage.admin.call('GET', '/operations?machine=server-1&active=1')) as {
        operations: Json[];
      };
      if (operations.length === 0) return false;
      const { steps } = (await stage.admin.call('GET', `/operations/${String(operations[0]!['id'])}`)) as {
        steps: Json[];
      };
      return steps.some((step) => step['name'] === 'deploy.wait');
    }, 'step deploy.wait');
  }

  const power = (): string => stage.floor.table().find((one) => one.machine === 'server-1')!.power;

  it('the link moves, the Start goes on, its repetition gets the answer, and nothing is reported that is not so', async () => {
    const next = await successor(hosts[1], 2_002n);
    const instance = stage.instance('i-7-1-VM');
    const lost = stage.cloud.send(host, [startCommand(instance)], { timeout: 60_000 });
    lost.catch(() => undefined);
    await installing();
    await stage.cloud.stop();
    await assert.rejects(lost, /link was lost/);

    const there = await next.waitForHost(guid, { timeout: 30_000 });
    assert.equal(there.hostId, host, 'the same host');
    const [during] = await next.until(
      'a ping',
      () => (next.pings(host).length > 0 ? next.pings(host) : undefined),
      30_000,
    );
    assert.equal(during!.report, null, 'a Start is running: nothing is certain');

    const [answer] = await next.send(host, [startCommand(instance)], { timeout: 60_000 });
    assert.equal(answer!.result, true, answer!.details ?? '');
    assert.equal(installs, 1);
    await until(
      () => next.pings(host).at(-1)!.report?.get(instance.name) === 'PowerOn',
      'PowerOn in a report',
    );
    const reports = next.pings(host).map((ping) => ping.report?.get(instance.name) ?? null);
    assert.ok(!reports.includes('PowerOff'), 'it would make the server stop the instance');
    const [again] = await next.send(host, [startCommand(instance)], { timeout: 60_000 });
    assert.equal(again!.result, true, again!.details ?? '');
    assert.equal(installs, 1, 'and is not installed once more');
    assert.deepEqual(next.anomalies, []);
    assert.deepEqual(stage.floor.oracle.violations, []);
    await stage.admin.operation('POST', '/machines/server-1/destroy', {});
  });

  it('a StopCommand that the successor sends late is judged as on one link: it cancels the Start and undoes it', async () => {
    const next = extra[0]!;
    const instance = stage.instance('i-7-2-VM');
    const lost = next.send(host, [startCommand(instance)], { timeout: 60_000 });
    lost.catch(() => undefined);
    await installing();
    const back = await successor(hosts[0], 2_003n);
    await next.stop();
    await assert.rejects(lost, /link was lost/);
    await back.waitForHost(guid, { timeout: 30_000 });
    const [stopped] = await back.send(host, [stopCommand({ name: instance.name })], { timeout: 60_000 });
    assert.equal(stopped!.result, true, stopped!.details ?? '');
    assert.equal(power(), 'off');
    // A repetition of the Start that comes later still is a new Start of an instance that holds nothing: not a known one.
    const [late] = await back.send(host, [startCommand({ ...instance, doPxe: false })], { timeout: 60_000 });
    assert.equal(late!.result, false);
    assert.match(late!.details ?? '', /claim\.unknown-instance|operation\./);
    assert.deepEqual(back.anomalies, []);
    assert.deepEqual(stage.floor.oracle.violations, []);
  });

  it('a host that the server removes is forgotten for good; the machine stays', async () => {
    const server = extra.at(-1)!;
    const [answer] = await server.send(host, [shutdownCommand()]);
    assert.equal(answer!.result, true);
    const place = async (): Promise<unknown> =>
      ((await stage.admin.call('GET', '/machines/server-1'))['machine'] as Json)['cloudPlace'];
    await until(async () => (await place()) === null, 'the place to be forgotten');
    const { alarms } = (await stage.admin.call('GET', '/alarms')) as { alarms: Json[] };
    assert.ok(alarms.some(({ code }) => code === 'agent.removed'));
    await until(async () => {
      const { agentLinks } = (await stage.admin.call('GET', '/health')) as { agentLinks: Json[] };
      return agentLinks.length === 0;
    }, 'the link to be gone');
  });
});
