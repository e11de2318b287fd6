import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stage } from '../../lab/demo/stage.ts';
import {
  destroyCommand,
  startCommand,
  stopCommand,
  type LabInstance,
} from '../../lab/management-server/commands.ts';
import type { FloorMachine } from '../../lab/floor/index.ts';
import { launchLocally } from '../support/local-service.ts';
import { stageDatabase } from '../support/temp-database.ts';
import { until } from '../support/until.ts';

type Json = Readonly<Record<string, unknown>>;

/** What must come of commands that go wrong, meet each other, or are repeated; judged by the floor. */
describe('the laws, over a simulated floor', function () {
  this.timeout(60_000);
  let stage: Stage;
  let database: Awaited<ReturnType<typeof stageDatabase>>;
  let directory: string;
  let host: bigint;
  let server: FloorMachine;
  let installs: number;
  let round = 0;
  let instance: LabInstance;

  before(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'csbm-law-'));
    database = await stageDatabase();
    stage = await Stage.start({
      directory,
      env: database.env,
      machines: 2,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      launch: launchLocally,
      pingInterval: 1,
      // Long enough for everything that should happen, short enough to wait for what should not.
      timings: { bootSeen: '160s', deployStalled: '160s', softOff: '60s' },
    });
    await stage.serve();
    await stage.furnish();
    host = await stage.host('server-1');
    server = stage.floor.find('server-1');
    server.machine.events.on('installing', () => {
      installs += 1;
    });
  });

  after(async () => {
    await stage.stop();
    await database.release();
    rmSync(directory, { recursive: true, force: true });
  });

  beforeEach(() => {
    round += 1;
    installs = 0;
    instance = stage.instance(`i-3-${round}-VM`);
    stage.floor.oracle.violations.length = 0;
  });

  afterEach(async () => {
    assert.deepEqual(stage.floor.oracle.violations, []);
    for (const device of stage.floor.switches) device.behaviours.clear();
    for (const { machine, bmc } of stage.floor.machines) {
      machine.behaviours.clear();
      bmc.heal();
    }
    await releaseAll();
  });

  async function releaseAll(): Promise<void> {
    const { machines } = (await stage.admin.call('GET', '/machines')) as { machines: Json[] };
    for (const machine of machines) {
      const name = String(machine['hostname']);
      if (machine['operation'])
        await stage.admin.follow(String((machine['operation'] as Json)['id'])).catch(() => undefined);
      if (machine['claim']) await stage.admin.operation('POST', `/machines/${name}/destroy`, {});
      const now = await machineNow(name);
      if (now['quarantine']) await stage.admin.call('DELETE', `/machines/${name}/quarantine`);
      if (now['state'] !== 'ready') await stage.admin.operation('POST', `/machines/${name}/erase`, {});
      assert.equal((await machineNow(name))['state'], 'ready');
    }
  }

  async function machineNow(name = 'server-1'): Promise<Json> {
    return (await stage.admin.call('GET', `/machines/${name}`))['machine'] as Json;
  }

  const row = (name = 'server-1') => stage.floor.table().find((one) => one.machine === name)!;
  const portsOf = (name = 'server-1') => row(name).ports.map((port) => [port.native, port.tagged, port.up]);
  const onProvisioning = [
    [100, [], true],
    [100, [], true],
  ];
  const running = () => until(() => row().leases.length > 0, 'the lease');

  async function untilStep(name: string, state = 'intent'): Promise<string> {
    let id = '';
    await until(async () => {
      const { operations } = (await stage.admin.call('GET', '/operations?machine=server-1&active=1')) as {
        operations: Json[];
      };
      if (operations.length === 0) return false;
      id = String(operations[0]!['id']);
      const { steps } = (await stage.admin.call('GET', `/operations/${id}`)) as { steps: Json[] };
      return steps.some(
        (step) => step['name'] === name && (step['state'] === state || step['state'] === 'done'),
      );
    }, `step ${name}`);
    return id;
  }

  it('a Start that switch B refuses half way is undone: off, both ports alike, claim dropped, disk erased, reason told', async () => {
    stage.floor.switches[1]!.behaviours.on(
      /untagged TenGigabitEthernet 1\/1/,
      { do: 'refuse', text: '% Error: Vlan table is full.' },
      { times: Infinity },
    );
    // The provisioning network is reached already; only the tenant's VLAN is refused.
    const [answer] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /Vlan table is full/);
    stage.floor.switches[1]!.behaviours.clear();
    await until(async () => (await machineNow())['state'] === 'ready', 'the machine to be ready again');
    assert.equal(row().power, 'off');
    assert.deepEqual(portsOf(), onProvisioning);
    assert.deepEqual(
      row().disks.map((disk) => disk.image),
      [null],
    );
    assert.equal((await machineNow())['claim'], null);
  });

  it('a repeated StartCommand joins, on the same link and on a new one; the image is installed once', async () => {
    const first = stage.cloud.send(host, [startCommand(instance)]);
    await untilStep('deploy.wait');
    const second = stage.cloud.send(host, [startCommand(instance)]);
    first.catch(() => undefined);
    second.catch(() => undefined);
    const connects = (): number => stage.cloud.hosts().find((one) => one.hostId === host)!.connects;
    const before = connects();
    stage.cloud.dropLink(host);
    await until(
      () =>
        stage.cloud.hosts().some((one) => one.hostId === host && one.state === 'Up' && one.connects > before),
      'a new link',
    );
    const [third] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(third!.result, true, third!.details ?? '');
    await running();
    assert.equal(installs, 1);
    const [again] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(again!.result, true, again!.details ?? '');
    assert.equal(installs, 1, 'a Start whose answer was lost must not install again');
  });

  it('a Stop during a Start cancels it: both are answered, everything is undone', async () => {
    const start = stage.cloud.send(host, [startCommand(instance)]);
    await untilStep('deploy.wait');
    const [stopped] = await stage.cloud.send(host, [stopCommand({ name: instance.name })]);
    const [started] = await start;
    assert.equal(stopped!.result, true, stopped!.details ?? '');
    assert.equal(started!.result, false);
    assert.match(started!.details ?? '', /cancelled/);
    assert.equal(row().power, 'off');
    assert.deepEqual(portsOf(), onProvisioning);
  });

  it('a Start of another instance on a claimed machine is refused, naming the holder', async () => {
    await stage.cloud.send(host, [startCommand(instance)]);
    const other = stage.instance('i-9-9-VM');
    const [answer] = await stage.cloud.send(host, [startCommand(other)]);
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', new RegExp(instance.name));
    await running();
  });

  it('an instance that claims to have run before and is unknown here is never installed', async () => {
    const [answer] = await stage.cloud.send(host, [startCommand({ ...instance, doPxe: false })]);
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /claim\.unknown-instance/);
    assert.equal(answer!.fields['contextMap'] && (answer!.fields['contextMap'] as Json)['stopRetry'], 'true');
    assert.equal(installs, 0);
  });

  it('a template that matches no image is refused with near misses, and CloudStack is told not to retry elsewhere', async () => {
    const [answer] = await stage.cloud.send(host, [
      startCommand({ ...instance, template: 'http://templates.example/lab-linus' }),
    ]);
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /lab-linux/);
    assert.equal((answer!.fields['contextMap'] as Json)['stopRetry'], 'true');
    assert.equal((await machineNow())['state'], 'ready');
  });

  it('a Stop whose OS ignores the shutdown request ends hard, confirmed', async () => {
    await stage.cloud.send(host, [startCommand(instance)]);
    await running();
    server.machine.behaviours.add({ kind: 'ignores-soft-off' });
    const [answer] = await stage.cloud.send(host, [stopCommand({ name: instance.name })]);
    assert.equal(answer!.result, true, answer!.details ?? '');
    assert.equal(row().power, 'off');
  });

  it('a stopped instance starts again on its own disk, with ports repaired that somebody moved meanwhile', async () => {
    await stage.cloud.send(host, [startCommand(instance)]);
    await running();
    await stage.cloud.send(host, [stopCommand({ name: instance.name })]);
    const place = server.machine.nics[1]!.place;
    const { model } = stage.floor.switches[1]!;
    model.removeUntagged(200, place.port, 'somebody');
    model.ensureVlan(666, 'somebody');
    model.addUntagged(666, place.port, 'somebody');
    const [answer] = await stage.cloud.send(host, [startCommand({ ...instance, doPxe: false })]);
    assert.equal(answer!.result, true, answer!.details ?? '');
    await running();
    assert.deepEqual(portsOf(), [
      [200, [], true],
      [200, [], true],
    ]);
    assert.equal(installs, 1);
  });

  it('Destroy with a dead BMC fences: ports shut, answered, quarantined; the erase waits for a person', async () => {
    await stage.cloud.send(host, [startCommand(instance)]);
    await running();
    server.bmc.behave({ dead: true });
    const [answer] = await stage.cloud.send(host, [destroyCommand(instance)]);
    assert.equal(answer!.result, true, answer!.details ?? '');
    assert.ok(
      row().ports.every((port) => !port.up),
      'every port is shut',
    );
    const machine = await machineNow();
    assert.equal((machine['quarantine'] as Json)['fenced'], true);
    assert.equal(machine['claim'], null);
    server.bmc.heal();
    await stage.admin.operation('POST', '/machines/server-1/erase', {});
    assert.equal((await machineNow())['state'], 'ready');
    assert.deepEqual(
      row().disks.map((disk) => disk.image),
      [null],
    );
  });

  it('a second asker for the boot order fails the Start and raises an alarm; nobody gets in', async () => {
    server.machine.behaviours.add({ kind: 'second-asker', when: 'after' }, 1);
    const [answer] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /deploy\.second-asker/);
    const { alarms } = (await stage.admin.call('GET', '/alarms')) as { alarms: Json[] };
    assert.ok(
      alarms.some((alarm) =>
        /second-asker|contested/.test(`${String(alarm['code'])} ${String(alarm['text'])}`),
      ),
    );
    assert.equal(row().power, 'off');
  });

  it('a corrupted image leaves the disk unbootable and the Start undone', async () => {
    server.machine.behaviours.add({ kind: 'corrupts-image' }, 1);
    const [answer] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /checksum/);
    assert.ok(row().disks.every((disk) => !disk.bootable));
  });

  it('an erase that wrote nothing is no evidence: the machine is withheld', async () => {
    await stage.cloud.send(host, [startCommand(instance)]);
    await running();
    server.machine.behaviours.add({ kind: 'disk-missing', disk: server.machine.disks[0]!.name });
    const [answer] = await stage.cloud.send(host, [destroyCommand(instance)]);
    assert.equal(answer!.result, false);
    const machine = await machineNow();
    assert.notEqual(machine['state'], 'ready');
    assert.equal((machine['quarantine'] as Json)['code'], 'deploy.disk-missing');
    assert.equal(machine['clean'], null);
  });

  it('power reports are complete or null: null during a Start, PowerOn after it, PowerOff after a Stop', async () => {
    const pings = () => stage.cloud.pings(host);
    // Long enough for a ping to fall into it.
    server.machine.behaviours.add({ kind: 'slow', factor: 4 });
    const start = stage.cloud.send(host, [startCommand(instance)]);
    await untilStep('deploy.wait');
    const during = pings().length;
    await until(
      () =>
        pings()
          .slice(during)
          .some((ping) => ping.report === null),
      'a null report during the Start',
    );
    await start;
    await until(() => pings().at(-1)!.report?.get(instance.name) === 'PowerOn', 'PowerOn in a report');
    await running();
    await stage.cloud.send(host, [stopCommand({ name: instance.name })]);
    await until(() => pings().at(-1)!.report?.get(instance.name) === 'PowerOff', 'PowerOff in a report');
  });

  it('a plan of a Start names every line and changes nothing', async () => {
    const before = JSON.stringify(stage.floor.table());
    const commands = stage.floor.switches.map((device) => device.model.saved);
    const { plan } = (await stage.admin.call('POST', '/machines/server-1/start?plan=1', {
      externalId: 'operator/plan-1',
      template: 'lab-linux',
      nics: [{ mac: '06:00:00:00:00:01', broadcastUri: 'vlan://200', defaultNic: true, deviceId: 0 }],
    })) as { plan: { step: string; lines: string[] }[] };
    const lines = plan.flatMap((section) => section.lines).join('\n');
    assert.match(lines, /untagged TenGigabitEthernet 1\/1/);
    assert.match(lines, /chassis control on|power on/i);
    assert.match(lines, /lab-linux/);
    assert.equal(JSON.stringify(stage.floor.table()), before);
    assert.deepEqual(
      stage.floor.switches.map((device) => device.model.saved),
      commands,
    );
    assert.equal((await machineNow())['state'], 'ready');
  });

  it('an upload that drops the port of a claimed machine is refused, naming it', async () => {
    await stage.cloud.send(host, [startCommand(instance)]);
    await running();
    const config = JSON.parse(stage.floor.rackConfig()) as { racks: { hosts: { server: string }[] }[] };
    config.racks[0]!.hosts = config.racks[0]!.hosts.filter((one) => one.server !== 'server-1');
    await assert.rejects(stage.admin.call('PUT', '/rack-config', JSON.stringify(config)), /server-1/);
  });

  it('no secret is in the log, the operations, or the machine list', async () => {
    const [answer] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(answer!.result, true);
    const shown = JSON.stringify([
      await stage.admin.call('GET', '/machines'),
      await stage.admin.call('GET', '/operations'),
      await stage.admin.call('GET', '/switches'),
    ]);
    const log = readFileSync(stage.serviceLog, 'utf8');
    for (const [where, text] of [
      ['the admin API', shown],
      ['the log', log],
    ] as const) {
      assert.ok(!text.includes(stage.floor.password), `the password is in ${where}`);
      assert.ok(!text.includes(readFileSync(stage.tokenFile, 'utf8').trim()), `the token is in ${where}`);
    }
  });
});
