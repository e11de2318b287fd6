import assert from 'node:assert/strict';
import { parseMac } from '../../../plugin-api/index.ts';
import { port } from '../network/fake-switch.ts';
import {
  allotted,
  allottedSecond,
  Bench,
  blueVlan,
  bondConfig,
  nicConfig,
  nics,
  redVlan,
  smallImage,
} from './bench.ts';
import { until } from './until.ts';

describe('a system that runs from disk', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.start();
  });
  afterEach(() => bench.stop());

  const tenantPorts = port(redVlan, blueVlan);

  async function boot(networkConfig: string | null, image = smallImage()): Promise<void> {
    await bench.install(networkConfig, image);
    bench.setPorts(tenantPorts);
    bench.on('disk');
    await bench.phase('os');
  }
  const lease = (mac = allotted) => bench.router.leaseOf(mac);
  const leased = (mac = allotted): Promise<void> => until(`a lease of ${mac}`, () => lease(mac) !== null);

  it('asks with the MAC of its bond, and its VLAN interface with its own, tagged', async () => {
    const { address } = bench.router.reserve(redVlan, allotted);
    bench.router.reserve(blueVlan, allottedSecond);
    await boot(bondConfig);
    await leased(allotted);
    await leased(allottedSecond);
    assert.deepEqual(
      { ...lease(), requests: 1 },
      { mac: allotted, vlan: redVlan, address, seenAt: 'a p1', requests: 1 },
    );
    assert.equal(lease(allottedSecond)!.vlan, blueVlan);
    assert.deepEqual(bench.router.strays, []);
    assert.equal(bench.router.ping(allotted), true);
    assert.equal(bench.router.ping(allottedSecond), true);
  });

  it('gets no lease with a MAC that is not allotted there', async () => {
    bench.router.reserve(blueVlan, allotted);
    await boot(nicConfig);
    await until('a stray request', () => bench.router.strays.length > 0);
    assert.deepEqual(bench.router.strays[0], { mac: allotted, vlan: redVlan, seenAt: 'a p1' });
    assert.deepEqual(bench.router.leases, []);
  });

  it('asks with the MAC of a single NIC that takes the allotted one', async () => {
    bench.router.reserve(redVlan, allotted);
    await boot(nicConfig, smallImage('raw', false));
    await leased();
    assert.equal(bench.router.ping(allotted), true);
  });

  it('has no network when its image cannot bond', async () => {
    bench.router.reserve(redVlan, allotted);
    await boot(bondConfig, smallImage('raw', false));
    assert.deepEqual(bench.machine.os!.interfaces, []);
    assert.ok(bench.machine.console.some((line) => line.includes('cannot bond')));
  });

  it('has no network when the plan is not version 2', async () => {
    await boot('version: 1\nconfig: []\n');
    assert.deepEqual(bench.machine.os!.interfaces, []);
  });

  it('asks by its first NIC with the hardware MAC when the disk has no first-boot data', async () => {
    bench.router.reserve(redVlan, nics[0]);
    await boot(null);
    await leased(nics[0]);
    assert.equal(bench.machine.os!.instanceId, null);
  });

  it('does not see first-boot data under a label that is not NoCloud’s', async () => {
    const files = { 'meta-data': 'instance-id: x\n', 'user-data': '', 'network-config': nicConfig };
    bench.boot.giveImage(smallImage(), { name: 'vda', serial: 'S1' }, files, 'config-2');
    await bench.runOrder();
    bench.setPorts(tenantPorts);
    bench.on('disk');
    await bench.phase('os');
    assert.deepEqual(
      bench.machine.os!.interfaces.map((one) => one.mac),
      [nics[0]],
    );
  });

  it('fails over when the port of the active NIC is shut, but not when only its VLAN is wrong', async () => {
    bench.router.reserve(redVlan, allotted);
    await boot(bondConfig);
    await leased();
    bench.torA.set('p1', { up: false });
    await until('the lease at the other port', () => lease()!.seenAt === 'b p1');
    assert.equal(bench.router.ping(allotted), true);
    bench.torA.set('p1', { ...port(999), up: true });
    assert.equal(bench.router.ping(allotted), false);
    await until('no lease', () => bench.machine.os!.interfaces[0]!.lease === null);
  });

  it('is not reached when the trunk does not carry the VLAN to its only live port', async () => {
    bench.router.reserve(redVlan, allotted);
    await boot(bondConfig);
    await leased();
    bench.torA.set('p1', { up: false });
    bench.torB.set('trunk', { tagged: [100] });
    await until('no lease', () => bench.machine.os!.interfaces[0]!.lease === null);
    assert.equal(bench.router.ping(allotted), false);
  });

  it('knows that it was started before, and keeps its data over a stop', async () => {
    await boot(nicConfig);
    assert.equal(bench.machine.os!.bootedBefore, false);
    await bench.off();
    assert.equal(bench.machine.os, null);
    bench.on('disk');
    await bench.phase('os');
    assert.equal(bench.machine.os!.bootedBefore, true);
    assert.equal(bench.machine.os!.instanceId, 'i-1');
  });

  it('finds the data of the tenant before after a quick erase, and none after a full one', async () => {
    const erase = async (grade: string): Promise<void> => {
      await bench.off();
      bench.setPorts(port(100));
      bench.boot.give({ id: 'op-e', phase: 'erase', grade, disks: [] });
      assert.equal((await bench.runOrder())['ok'], true);
    };
    const next = async (instanceId: string): Promise<string | null> => {
      await bench.install(nicConfig, smallImage(), instanceId);
      bench.on('disk');
      await bench.phase('os');
      return bench.machine.os!.foreignData;
    };
    assert.equal(await next('tenant-1'), null);
    await erase('quick');
    assert.equal(await next('tenant-2'), 'tenant-1');
    await erase('full');
    assert.equal(await next('tenant-3'), null);
  });

  it('gets a VLAN interface from its tenant when a NIC was plugged', async () => {
    bench.router.reserve(blueVlan, allottedSecond);
    await boot(nicConfig);
    bench.machine.os!.addVlan(blueVlan, allottedSecond);
    await leased(allottedSecond);
    bench.setPorts(port(redVlan));
    assert.equal(bench.router.ping(allottedSecond), false);
  });

  it('is heard by its own network only, tagged or untagged', async () => {
    const blueMac = parseMac('06:00:00:00:0b:00');
    const neighbour = bench.addMachine(
      'm2',
      [parseMac('52:54:0a:00:00:02'), parseMac('52:54:0a:01:00:02')],
      'p2',
    );
    bench.router.reserve(redVlan, allotted);
    bench.router.reserve(blueVlan, blueMac);
    bench.torA.set('p2', port(blueVlan));
    bench.torB.set('p2', port(blueVlan));
    bench.on('disk', neighbour);
    await bench.phase('no-bootable-device', neighbour);
    await bench.install(nicConfig);
    bench.setPorts(port(redVlan));
    bench.on('disk');
    await leased();
    const heard = () => neighbour.nics.flatMap((nic) => nic.heard.map((h) => h.frame.source));
    assert.deepEqual(heard(), []);
    // The same neighbour hears it as soon as a port is wrong: the test above can fail.
    bench.torA.set('p2', port(redVlan));
    await until('the leak', () => heard().includes(allotted));
  });

  it('falls silent when its power is cut', async () => {
    bench.router.reserve(redVlan, allotted);
    await boot(nicConfig);
    await leased();
    await bench.off();
    assert.equal(bench.router.ping(allotted), false);
    const { requests } = lease()!;
    await bench.phase('off');
    assert.equal(lease()!.requests, requests);
  });
});
