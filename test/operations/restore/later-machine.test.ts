import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { blueVlan, redVlan, Stage } from '../../../lab/demo/stage.ts';
import { destroyCommand, startCommand, type LabCommand } from '../../../lab/management-server/commands.ts';
import type { RestoreView } from '../../../src/cli/admin/api-types.ts';
import { csbm, type Ended } from '../../cli/run-csbm.ts';
import { testStore } from '../../support/temp-database.ts';
import { until } from '../../support/until.ts';

/** The real service process on the floor, restored from a backup that one of the machines came after. */
describe('a machine that came after the backup', function () {
  this.timeout(120_000);
  let stage: Stage;
  let directory: string;

  before(async function () {
    if (testStore !== 'sqlite') this.skip();
    directory = mkdtempSync(path.join(tmpdir(), 'csbm-later-'));
    stage = await Stage.start({
      directory,
      machines: 2,
      speed: 40,
      imageBytes: 2 ** 20,
      timings: { bootSeen: '200s' },
      floor: { machine: { pxeFailure: 'stop' } },
    });
    await stage.serve();
    await stage.admin.call('PUT', '/rack-config', rackConfig());
    await stage.addImage();
    await commissioned('server-1');
  });

  after(async () => {
    if (testStore !== 'sqlite') return;
    await stage.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Of the second machine only the port at the second switch: its network leads over the trunk, and the first switch has no port in it. */
  function rackConfig(): string {
    const config = JSON.parse(stage.floor.rackConfig()) as { racks: { hosts: { server: string }[] }[] };
    const [first] = config.racks;
    first!.hosts = first!.hosts.filter(({ server }) => server !== 'server-2');
    return JSON.stringify(config);
  }

  async function commissioned(name: string): Promise<void> {
    await stage.enrol(name);
    await stage.admin.operation('POST', `/machines/${name}/commission`, { grade: 'quick' });
  }

  async function send(
    name: string,
    command: LabCommand,
  ): Promise<{ result: boolean; details?: string | null }> {
    const host = await stage.host(name);
    await until(() => stage.cloud.hosts().some((one) => one.hostId === host && one.state === 'Up'));
    const [answer] = await stage.cloud.send(host, [command], { timeout: 60_000 });
    return answer!;
  }

  async function good(name: string, command: LabCommand): Promise<void> {
    const { result, details } = await send(name, command);
    assert.equal(result, true, details ?? '');
  }

  const ask = (...args: string[]): Promise<Ended> =>
    csbm([...args, '--json', '--url', stage.service.adminUrl, '--token-file', stage.tokenFile]);
  const direct = (...args: string[]): Promise<Ended> =>
    csbm([...args, '--json', '--config', stage.configFile]);

  async function shown(): Promise<RestoreView> {
    const { code, out, err } = await ask('restore', 'show');
    assert.equal(code, 0, err);
    return JSON.parse(out) as RestoreView;
  }

  const idle = (): Promise<void> =>
    until(async () => {
      const { operations } = (await stage.admin.call('GET', '/operations?active=1')) as {
        operations: unknown[];
      };
      return operations.length === 0;
    }, 'no operation');

  /** What the uplinks of both switches forward, by the switches themselves. */
  const carried = (): readonly (readonly number[])[] =>
    stage.floor.switches.map(({ model }, i) => {
      const trunk = model.effective('fortyGigE 1/50').tagged;
      if (i === 0) assert.deepEqual(model.effective('fortyGigE 1/49').tagged, trunk);
      return trunk;
    });

  /** Power, ports, disks and leases of a machine. */
  function row(name: string): unknown {
    const { disks, leases, ports, power } = stage.floor.table().find(({ machine }) => machine === name)!;
    return { power, disks, ports, leases: leases.map(({ address, mac, vlan }) => ({ address, mac, vlan })) };
  }

  /** What was typed to change a switch. */
  const changes = (): readonly string[] =>
    stage.floor.switches.flatMap(({ transcript }) =>
      transcript.entries
        .filter(({ expanded, prompt }) => prompt.includes('(conf') || /^(write|copy)/.test(expanded ?? ''))
        .map(({ line }) => line),
    );

  it('keeps its network while others are started and destroyed, until it is enrolled again', async () => {
    const file = path.join(directory, 'monday.csbm-backup');
    assert.equal((await direct('backup', file)).code, 0);
    await commissioned('server-2');
    await good('server-2', startCommand(stage.instance('i-2-2-VM', [blueVlan])));
    await until(() => stage.floor.table()[1]!.leases.length > 0, 'the lease of the later instance');
    await idle();
    const host = await stage.host('server-2');
    await stage.service.stop();
    const tenant = row('server-2');
    const before = changes();
    assert.ok(before.length > 0);
    const alone = [
      [100, blueVlan],
      [100, blueVlan],
    ];
    assert.deepEqual(carried(), alone);
    const restored = await direct('restore', file);
    assert.equal(restored.code, 0, restored.err);

    await stage.serve();
    const report = await shown();
    assert.ok(report.pending, 'a person must look');
    assert.deepEqual(report.machines, []);
    const [began, ...ports] = report.unknown.map(({ what }) => what);
    assert.match(began!, /^2 operations began on the machine .*enrol it again/);
    assert.equal(ports.length, 1);
    assert.match(ports[0]!, new RegExp(`^port tor-2 TenGigabitEthernet 1/2 is native ${blueVlan}`));
    const started = stage.instance('i-2-1-VM');
    assert.match((await send('server-1', startCommand(started))).details ?? '', /restore\.pending/);
    assert.deepEqual(changes(), before, 'nothing is written to a switch before a person has looked');

    const accepted = await ask('restore', 'accept');
    assert.equal(accepted.code, 0, accepted.err);
    await good('server-1', startCommand(started));
    const both = [100, redVlan, blueVlan];
    assert.deepEqual(carried(), [both, both]);
    assert.deepEqual(row('server-2'), tenant);
    await good('server-1', destroyCommand(started));
    await idle();
    assert.deepEqual(carried(), alone, 'the network of the one that is gone has left');
    assert.deepEqual(row('server-2'), tenant);

    // Enrolled again it is nobody's yet, and left alone; commissioned it is a machine like any other.
    await stage.enrol('server-2');
    await good('server-1', startCommand(stage.instance('i-2-3-VM')));
    assert.deepEqual(carried(), [both, both]);
    assert.deepEqual(row('server-2'), tenant);
    await stage.admin.operation('POST', '/machines/server-2/commission', { grade: 'quick' });
    assert.deepEqual(carried(), [
      [100, redVlan],
      [100, redVlan],
    ]);
    assert.equal(stage.floor.find('server-2').machine.power(), 'off');
    assert.notEqual(await stage.host('server-2'), host, 'to CloudStack it is another host');
    assert.deepEqual(stage.floor.oracle.violations, []);
  });
});
