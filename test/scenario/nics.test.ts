import assert from 'node:assert/strict';
import {
  destroyCommand,
  plugNicCommand,
  rebootCommand,
  startCommand,
  stopCommand,
  unPlugNicCommand,
  type LabInstance,
} from '../../lab/management-server/commands.ts';
import type { Stage } from '../../lab/demo/stage.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

/** Reboot, PlugNic and UnPlugNic of a running instance, judged by the floor. */
describe('a running instance', function () {
  this.timeout(40_000);
  let stage: Stage;
  let close: () => Promise<void>;
  let host: bigint;
  let instance: LabInstance;

  before(async () => {
    ({ stage, close } = await localStage({
      floor: {
        networks: [
          { name: 'red-1', tenant: 'red', vlan: 200, prefix: '10.1.200' },
          { name: 'red-2', tenant: 'red', vlan: 201, prefix: '10.1.201' },
        ],
      },
    }));
    host = await stage.host('server-1');
    instance = stage.instance('i-4-1-VM');
    const [answer] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(answer!.result, true, answer!.details ?? '');
    await running();
  });

  after(async () => {
    await stage.cloud.send(host, [destroyCommand(instance)]);
    assert.deepEqual(stage.floor.oracle.violations, []);
    await close();
  });

  afterEach(() => {
    for (const device of stage.floor.switches) device.behaviours.clear();
    assert.deepEqual(stage.floor.oracle.violations, []);
  });

  const row = () => stage.floor.table()[0]!;
  const ports = () => row().ports.map((port) => [port.native, port.tagged]);
  const running = () => until(() => row().leases.length > 0, 'the lease');
  const second = { mac: '06:00:ac:10:00:77', broadcastUri: 'vlan://201' };

  it('gets a second network on every port of its bond while it runs, and loses it again', async () => {
    const [plugged] = await stage.cloud.send(host, [plugNicCommand(instance.name, second)]);
    assert.deepEqual(
      [plugged!.className.split('.').at(-1), plugged!.result],
      ['PlugNicAnswer', true],
      plugged!.details ?? '',
    );
    assert.deepEqual(ports(), [
      [200, [201]],
      [200, [201]],
    ]);
    for (const device of stage.floor.switches) assert.ok(device.model.saved, `${device.name} saved it`);
    const [again] = await stage.cloud.send(host, [plugNicCommand(instance.name, second)]);
    assert.equal(again!.result, true, again!.details ?? '');
    const [unplugged] = await stage.cloud.send(host, [unPlugNicCommand(instance.name, second)]);
    assert.deepEqual(
      [unplugged!.className.split('.').at(-1), unplugged!.result],
      ['UnPlugNicAnswer', true],
      unplugged!.details ?? '',
    );
    assert.deepEqual(ports(), [
      [200, []],
      [200, []],
    ]);
    assert.equal(row().power, 'on');
  });

  it('keeps its network as it was when one switch refuses the second one', async () => {
    stage.floor.switches[1]!.behaviours.on(
      /^ *tagged TenGigabitEthernet 1\/1/,
      { do: 'refuse', text: '% Error: no room.' },
      { times: Infinity },
    );
    const [answer] = await stage.cloud.send(host, [plugNicCommand(instance.name, second)]);
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /no room/);
    assert.deepEqual(ports(), [
      [200, []],
      [200, []],
    ]);
  });

  it('cannot lose its default NIC, nor get a VLAN that is reserved or none', async () => {
    const cases = [
      [unPlugNicCommand(instance.name, { ...instance.nics![0]!, defaultNic: true }), /network\.default-nic/],
      [plugNicCommand(instance.name, { ...second, broadcastUri: 'vlan://100' }), /network\.reserved-vlan/],
      [plugNicCommand(instance.name, { ...second, broadcastUri: 'vlan://untagged' }), /network\.vlan-uri/],
      [plugNicCommand('i-9-9-VM', second), /claim\.unknown-instance/],
    ] as const;
    for (const [command, details] of cases) {
      const [answer] = await stage.cloud.send(host, [command]);
      assert.equal(answer!.result, false);
      assert.match(answer!.details ?? '', details);
    }
    assert.deepEqual(ports(), [
      [200, []],
      [200, []],
    ]);
  });

  it('is rebooted by one power cycle, and switched on where it was off', async () => {
    const { bmc } = stage.floor.machines[0]!;
    const cycles = () => bmc.log.filter((entry) => entry.action === 'cycle').length;
    const before = cycles();
    const [answer] = await stage.cloud.send(host, [rebootCommand(instance.name)]);
    assert.deepEqual(
      [answer!.className.split('.').at(-1), answer!.result],
      ['RebootAnswer', true],
      answer!.details ?? '',
    );
    assert.equal(cycles(), before + 1);
    await running();
    await stage.cloud.send(host, [stopCommand({ name: instance.name })]);
    const [started] = await stage.cloud.send(host, [rebootCommand(instance.name)]);
    assert.equal(started!.result, true, started!.details ?? '');
    await running();
    assert.equal(cycles(), before + 1);
  });
});
