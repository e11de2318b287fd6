import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { isBlank } from '../../lab/demo/blank-disk.ts';
import type { Stage, StageOptions } from '../../lab/demo/stage.ts';
import { makeLabImage } from '../../lab/machine/index.ts';
import {
  destroyCommand,
  startCommand,
  stopCommand,
  type LabCommand,
  type LabInstance,
} from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

type Json = Readonly<Record<string, unknown>>;

/** The main job where the floor, the image or the network is not the usual one; judged by the floor. */
describe('the main job, varied', function () {
  this.timeout(60_000);
  let stage: Stage;
  let close: () => Promise<void>;

  async function open(options: Parameters<typeof localStage>[0] = {}): Promise<void> {
    ({ stage, close } = await localStage(options));
  }

  afterEach(async () => {
    const { violations } = stage.floor.oracle;
    await close();
    assert.deepEqual(violations, []);
  });

  const row = (name = 'server-1') => stage.floor.table().find((one) => one.machine === name)!;
  const ports = (name = 'server-1') => row(name).ports.map((port) => [port.native, port.tagged, port.up]);
  const interfaces = (name = 'server-1') => stage.floor.find(name).machine.os?.interfaces ?? [];
  const machine = async (name = 'server-1') =>
    (await stage.admin.call('GET', `/machines/${name}`))['machine'] as Json;

  async function send(command: LabCommand, name = 'server-1'): Promise<void> {
    const [answer] = await stage.cloud.send(await stage.host(name), [command]);
    assert.equal(answer!.result, true, answer!.details ?? '');
  }

  async function leased({ nics = [] }: LabInstance, name = 'server-1'): Promise<void> {
    await until(
      () => nics.every((nic) => row(name).leases.some((lease) => lease.mac === nic.mac)),
      'a lease for every NIC of the instance',
    );
  }

  async function addImage(name: string, canBond: boolean): Promise<string> {
    const template = `http://templates.example/${name}`;
    await stage.admin.upload(
      `/images?name=${name}&canBond=${canBond}&firstBoot=nocloud&alias=${template}`,
      gzipSync(makeLabImage({ name, canBond, bytes: 2 ** 20 }), { level: 1 }),
    );
    return template;
  }

  it('a server with one NIC gets CloudStack’s MAC on that NIC, without a bond', async () => {
    await open({ floor: { nicsPerMachine: 1, switches: 1 } });
    const instance = stage.instance('i-5-1-VM');
    await send(startCommand(instance));
    await leased(instance);
    assert.deepEqual(ports(), [[200, [], true]]);
    assert.deepEqual(
      interfaces().map(({ kind, mac }) => [kind, mac]),
      [['nic', instance.nics![0]!.mac]],
    );
    await send(destroyCommand(instance));
    assert.deepEqual(ports(), [[100, [], true]]);
  });

  it('an image that cannot bond gets one NIC; the other port is parked, not left on a network', async () => {
    await open({ floor: { park: { vlan: 998 } } });
    const template = await addImage('no-bond', false);
    const instance = stage.instance('i-5-2-VM', undefined, { template });
    await send(startCommand(instance));
    await leased(instance);
    assert.deepEqual(ports(), [
      [200, [], true],
      [998, [], true],
    ]);
    assert.ok(interfaces().every(({ kind }) => kind !== 'bond'));
    await send(destroyCommand(instance));
    assert.deepEqual(ports(), [
      [100, [], true],
      [100, [], true],
    ]);
  });

  it('two networks at deploy: the second is a VLAN interface with its own MAC, tagged on both ports', async () => {
    const networks = [
      { name: 'red-1', tenant: 'red', vlan: 200, prefix: '10.1.200' },
      { name: 'red-2', tenant: 'red', vlan: 201, prefix: '10.1.201' },
    ];
    await open({ floor: { networks } });
    const instance = stage.instance('i-5-3-VM', [200, 201]);
    await send(startCommand(instance));
    await leased(instance);
    assert.deepEqual(ports(), [
      [200, [201], true],
      [200, [201], true],
    ]);
    const vlan = interfaces().find(({ kind }) => kind === 'vlan');
    assert.equal(vlan?.mac, instance.nics![1]!.mac);
    await send(destroyCommand(instance));
  });

  for (const park of ['shut', { vlan: 998 }] as const)
    it(`machines that boot on the switches’ default VLAN (unused ports ${park === 'shut' ? 'shut' : 'in a park VLAN'})`, async () => {
      await open({ floor: { provisioning: 'default-vlan', defaultVlan: 1, park } });
      const instance = stage.instance('i-5-4-VM');
      await send(startCommand(instance));
      await leased(instance);
      assert.deepEqual(ports(), [
        [200, [], true],
        [200, [], true],
      ]);
      await send(stopCommand({ name: instance.name }));
      await send(startCommand({ ...instance, doPxe: false }));
      await leased(instance);
      await send(destroyCommand(instance));
      assert.deepEqual(ports(), [
        [1, [], true],
        [1, [], true],
      ]);
    });

  it('a Start repeated on another host while the first is half done: the first is undone, then the other gets it', async () => {
    await open({ machines: 2 });
    const instance = stage.instance('i-5-5-VM');
    const installing = new Promise((resolve) =>
      stage.floor.find('server-1').machine.events.on('installing', resolve),
    );
    const first = stage.cloud.send(await stage.host('server-1'), [startCommand(instance)]);
    await installing;
    const second = stage.cloud.send(await stage.host('server-2'), [startCommand(instance)]);
    const [[refused], [started]] = await Promise.all([first, second]);
    assert.equal(refused!.result, false);
    assert.equal(started!.result, true, started!.details ?? '');
    await leased(instance, 'server-2');
    assert.notEqual(row('server-1').phase, 'os');
    assert.equal((await machine('server-1'))['claim'], null);
    await until(async () => (await machine('server-1'))['state'] === 'ready', 'server-1 erased and ready');
    assert.deepEqual(
      row('server-1').disks.map(({ image, residue }) => [image, residue]),
      [[null, null]],
    );
    await send(destroyCommand(instance), 'server-2');
  });

  const twoDisks: NonNullable<StageOptions['floor']>['disks'] = (name) => [
    { name: 'vda', serial: `ROOT-${name}`, bytes: 16 * 2 ** 20 },
    { name: 'vdb', serial: `DATA-${name}`, bytes: 24 * 2 ** 20, rotational: true },
  ];

  it('a second disk stays as the tenant left it over Stop and Start, and is erased with the first', async () => {
    await open({ floor: { disks: twoDisks } });
    const data = stage.floor.find('server-1').machine.disks[1]!;
    const instance = stage.instance('i-5-6-VM');
    await send(startCommand(instance));
    await leased(instance);
    writeFileSync(data.file, 'the tenant’s second disk', { flag: 'r+' });
    await send(stopCommand({ name: instance.name }));
    await send(startCommand({ ...instance, doPxe: false }));
    await leased(instance);
    assert.equal(isBlank(data.file), false);
    await send(destroyCommand(instance));
    assert.equal(isBlank(data.file), true);
    assert.equal((await machine())['state'], 'ready');
  });

  it('a disk that is seen only when the machine is erased is erased too', async () => {
    await open({ floor: { disks: twoDisks } });
    const { machine: server } = stage.floor.find('server-1');
    const data = server.disks[1]!;
    server.behaviours.add({ kind: 'disk-missing', disk: data.name });
    // Inventoried anew without it: from here on nobody knows of that disk.
    await stage.admin.operation('POST', '/machines/server-1/commission', { grade: 'quick' });
    const instance = stage.instance('i-5-7-VM');
    await send(startCommand(instance));
    await leased(instance);
    server.behaviours.clear();
    writeFileSync(data.file, 'written before anybody looked', { flag: 'r+' });
    await send(destroyCommand(instance));
    assert.equal(isBlank(data.file), true);
    assert.equal((await machine())['state'], 'ready');
  });
});
