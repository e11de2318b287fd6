import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { os9PortId, parseMac, Secret, seconds, type Bmc } from '../../../plugin-api/index.ts';
import { parseRackConfig } from '../../../rack-config/index.ts';
import { createIpmiDriver } from '../../../src/drivers/power/ipmi/ipmi-driver.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { LabFloor, type LabFloorOptions } from '../../../lab/floor/index.ts';
import { faster, lifelike } from '../../../lab/machine/index.ts';
import { seed, smallImage } from '../machine/bench.ts';
import { TinyBootService } from '../machine/tiny-boot-service.ts';
import { until } from '../machine/until.ts';

const redMac = parseMac('06:00:00:00:02:00');

describe('the simulated floor', () => {
  let floor: LabFloor;
  let boot: TinyBootService;
  let directory: string;
  const driver = createIpmiDriver({ clock: new SystemClock(), log: () => undefined }, { pollEvery: 5 });
  const bmcs: Bmc[] = [];

  beforeEach(async () => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'csbm-floor-'));
    boot = new TinyBootService();
    await boot.start();
  });
  afterEach(async () => {
    for (const bmc of bmcs.splice(0)) await bmc.close();
    await floor.stop();
    await boot.stop();
    fs.rmSync(directory, { recursive: true, force: true });
  });
  after(() => driver.close());

  async function start(options: Partial<LabFloorOptions> = {}): Promise<void> {
    floor = await LabFloor.start({
      directory,
      machines: 2,
      bootService: boot.address,
      machine: { timing: { ...faster(lifelike, 200), bytesPerSecond: null } },
      ...options,
    });
  }
  function bmcOf(name: string): Bmc {
    const { host, port } = floor.find(name).bmcAddress;
    const password = new Secret(floor.password);
    const bmc = driver.open({ host, port, username: floor.username, password, minSuite: 3 });
    bmcs.push(bmc);
    return bmc;
  }
  /** Ports of server-n on both switches: untagged in `native`, tagged in the rest, as an administrator would type it. */
  function setPorts(n: number, native: number, ...tagged: number[]): void {
    for (const { model } of floor.switches) {
      const port = `TenGigabitEthernet 1/${n}`;
      model.atomically(() => {
        for (const vlan of [native, ...tagged]) model.ensureVlan(vlan, 'test');
        const before = model.explicitNative(port);
        for (const vlan of model.taggedOf(port)) model.removeTagged(vlan, port, 'test');
        if (before !== null) model.removeUntagged(before, port, 'test');
        if (native !== model.running.defaultVlan) model.addUntagged(native, port, 'test');
        for (const vlan of tagged) model.addTagged(vlan, port, 'test');
      });
    }
  }
  function carry(vlan: number): void {
    for (const { model } of floor.switches) {
      model.ensureVlan(vlan, 'test');
      for (const name of model.portNames.filter((p) => p.startsWith('fortyGigE')))
        model.addTagged(vlan, name, 'test');
    }
  }
  const bondOf = (n: number, mac = redMac): string => {
    const { machine } = floor.find(`server-${n}`);
    return JSON.stringify({
      version: 2,
      ethernets: Object.fromEntries(
        machine.nics.map((nic) => [nic.label, { match: { macaddress: nic.mac } }]),
      ),
      bonds: {
        bond0: {
          interfaces: machine.nics.map((nic) => nic.label),
          macaddress: mac,
          dhcp4: true,
          parameters: { mode: 'active-backup' },
        },
      },
    });
  };
  async function run(n: number, device: 'pxe' | 'disk'): Promise<void> {
    const bmc = bmcOf(`server-${n}`);
    await bmc.setBootDevice({ device, persistent: false, firmware: 'legacy' });
    await bmc.turn('on', seconds(5));
  }
  async function phase(n: number, wanted: string): Promise<void> {
    const { machine } = floor.find(`server-${n}`);
    await until(`server-${n} in ${wanted}`, () => machine.phase === wanted);
  }
  async function install(n: number, instanceId = `i-${n}`): Promise<void> {
    const serial = `DISK-server-${n}`;
    boot.giveImage(smallImage(), { name: 'vda', serial, bytes: 0 }, seed(bondOf(n), instanceId));
    const before = boot.results.length;
    await run(n, 'pxe');
    await until('a result', () => boot.results.length > before);
    await phase(n, 'off');
    assert.equal(boot.results.at(-1)!['ok'], true, JSON.stringify(boot.results.at(-1)));
  }

  it('goes from bare metal to a tenant with a lease, over RMCP+, and breaks no law when done in order', async () => {
    await start();
    const { address } = floor.router.reserve(200, redMac);
    setPorts(1, 100);
    await install(1);
    assert.equal(await bmcOf('server-1').state(), 'off');
    carry(200);
    setPorts(1, 200);
    await run(1, 'disk');
    await until('the lease', () => floor.router.leaseOf(redMac) !== null);
    assert.equal(floor.router.ping(redMac), true);
    const [row] = floor.table();
    assert.deepEqual(
      [row!.power, row!.phase, row!.disks[0]!.image, row!.leases],
      [
        'on',
        'os',
        'lab-linux',
        [{ mac: redMac, vlan: 200, address, seenAt: 'tor-1 TenGigabitEthernet 1/1' }],
      ],
    );
    assert.deepEqual(
      row!.ports.map((p) => [p.port, p.native, p.tagged, p.up]),
      [
        ['tor-1 TenGigabitEthernet 1/1', 200, [], true],
        ['tor-2 TenGigabitEthernet 1/1', 200, [], true],
      ],
    );
    assert.match(floor.tableText(), /server-1 .*on .*os .*u200.*lab-linux.*06:00:00:00:02:00 10\.1\.200\.10/);
    assert.deepEqual(floor.oracle.violations, []);
  });

  it('reaches nobody while its ports are not in the provisioning VLAN', async () => {
    await start();
    await run(1, 'pxe');
    await phase(1, 'no-bootable-device');
    assert.deepEqual(boot.requests, []);
  });

  it('provisions in the default VLAN where that is how the site is made', async () => {
    await start({ provisioning: 'default-vlan' });
    await install(1);
    assert.match(floor.rackConfig(), /"provisioning": "default-vlan"/);
  });

  it('writes a rack config that the reader takes, with every NIC at its port', async () => {
    await start({ machines: 3, park: { vlan: 999 } });
    const force10 = {
      type: 'Force10',
      defaultTransport: 'ssh',
      transports: { ssh: 22 },
      parsePort: os9PortId,
    };
    const { switches, wires, warnings } = parseRackConfig(
      fs.readFileSync(floor.rackConfigPath, 'utf8'),
      new Map([[force10.type, force10]]),
    );
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      switches.map((s) => [s.name, s.tcpPort, s.provisioning, s.park, s.uplinks]),
      floor.switches.map((s, n) => [
        s.name,
        s.port,
        100,
        999,
        n === 0 ? ['fortyGigE 1/49', 'fortyGigE 1/50'] : ['fortyGigE 1/50'],
      ]),
    );
    assert.deepEqual(
      wires.map((w) => [w.mac, w.switch, w.port, w.server]).sort(),
      floor.machines
        .flatMap(({ machine }) =>
          machine.nics.map((nic) => [nic.mac, nic.place.switch, nic.place.port, machine.name]),
        )
        .sort(),
    );
  });

  it('keeps disks over a restart of the floor in the same directory', async () => {
    await start();
    setPorts(1, 100);
    await install(1);
    await floor.stop();
    await start();
    assert.equal(floor.table()[0]!.disks[0]!.image, 'lab-linux');
  });

  it('leaves nothing that could break a law to chance: the same seed, the same trouble', async () => {
    await start({ machines: 4 });
    const trouble = () => floor.machines.map(({ machine }) => machine.behaviours.list());
    floor.misbehave(0.7, 42);
    const first = trouble();
    for (const { machine } of floor.machines) machine.behaviours.clear();
    floor.misbehave(0.7, 42);
    assert.deepEqual(trouble(), first);
    assert.ok(first.flat().length > 0);
  });

  describe('sees as a broken law', () => {
    const laws = (): string[] => floor.oracle.violations.map((v) => v.law);

    async function tenantOnServer1(options: Partial<LabFloorOptions> = {}): Promise<void> {
      await start(options);
      floor.router.reserve(200, redMac);
      if (options.provisioning !== 'default-vlan') setPorts(1, 100);
      await install(1);
      carry(200);
      setPorts(1, 200);
      await run(1, 'disk');
      await phase(1, 'os');
      assert.deepEqual(floor.oracle.violations, []);
    }

    it('4a: a port of a running machine in the provisioning VLAN, or in that of another tenant', async () => {
      await tenantOnServer1();
      floor.switches[1]!.model.addTagged(100, 'TenGigabitEthernet 1/1', 'test');
      assert.ok(laws().includes('4a'));
      floor.oracle.violations.length = 0;
      floor.switches[0]!.model.ensureVlan(300, 'test');
      floor.switches[0]!.model.addTagged(300, 'TenGigabitEthernet 1/1', 'test');
      assert.deepEqual(new Set(laws()), new Set(['4a']));
      assert.match(floor.oracle.violations[0]!.said, /tor-1 .* VLAN 300 of another tenant/);
    });

    it('4a: a system that is started with its ports still on the provisioning network', async () => {
      await start();
      floor.router.reserve(200, redMac);
      setPorts(1, 100);
      await install(1);
      await run(1, 'disk');
      await phase(1, 'os');
      assert.ok(laws().includes('4a'));
    });

    it('4b: an untagged VLAN that leaves a running machine, but not a port that is shut', async () => {
      await tenantOnServer1();
      const { model } = floor.switches[0]!;
      const port = 'TenGigabitEthernet 1/1';
      model.setPort(port, { shutdown: true }, 'test');
      assert.deepEqual(laws(), []);
      model.removeUntagged(200, port, 'test');
      assert.deepEqual(laws(), []);
      model.setPort(port, { shutdown: false }, 'test');
      assert.deepEqual(laws(), ['4b']);
    });

    it('nothing in a tagged VLAN of its own that comes and goes', async () => {
      await tenantOnServer1({
        networks: [
          { name: 'r1', tenant: 'red', vlan: 200, prefix: '10.1.200' },
          { name: 'r2', tenant: 'red', vlan: 201, prefix: '10.1.201' },
        ],
      });
      for (const { model } of floor.switches) {
        model.ensureVlan(201, 'test');
        model.addTagged(201, 'TenGigabitEthernet 1/1', 'test');
        model.removeTagged(201, 'TenGigabitEthernet 1/1', 'test');
      }
      assert.deepEqual(laws(), []);
    });

    it('4c: an instance that the cloud has given up, still running with an open port; but not behind shut ones', async () => {
      await tenantOnServer1();
      for (const { model } of floor.switches)
        model.setPort('TenGigabitEthernet 1/1', { shutdown: true }, 'test');
      floor.router.release(redMac);
      assert.deepEqual(laws(), []);
      floor.router.reserve(200, redMac);
      floor.switches[1]!.model.setPort('TenGigabitEthernet 1/1', { shutdown: false }, 'test');
      floor.router.release(redMac);
      assert.deepEqual(laws(), ['4c']);
    });

    it('4d: a bond that starts on ports in different states', async () => {
      await start();
      floor.router.reserve(200, redMac);
      setPorts(1, 100);
      await install(1);
      carry(200);
      setPorts(1, 200);
      floor.switches[1]!.model.removeUntagged(200, 'TenGigabitEthernet 1/1', 'test');
      await run(1, 'disk');
      await phase(1, 'os');
      assert.deepEqual(laws(), ['4d']);
    });

    it('4e: a running machine that falls into a default VLAN which is the provisioning network', async () => {
      await tenantOnServer1({ provisioning: 'default-vlan' });
      floor.switches[0]!.model.removeUntagged(200, 'TenGigabitEthernet 1/1', 'test');
      assert.ok(laws().includes('4e'));
    });

    it('5: an image over a disk that was not erased', async () => {
      await start();
      floor.router.reserve(200, redMac);
      setPorts(1, 100);
      await install(1, 'i-first');
      await install(1, 'i-second');
      assert.deepEqual(laws(), ['5']);
    });

    it('2: one instance that runs on two machines', async () => {
      await start();
      floor.router.reserve(200, redMac);
      for (const n of [1, 2]) {
        setPorts(n, 100);
        await install(n, 'i-1');
        carry(200);
        setPorts(n, 200);
        await run(n, 'disk');
        await phase(n, 'os');
      }
      assert.deepEqual(laws(), ['2']);
    });

    it('isolation: a tenant’s frame that another tenant’s system hears', async () => {
      await tenantOnServer1();
      const blueMac = parseMac('06:00:00:00:03:00');
      floor.router.reserve(300, blueMac);
      carry(300);
      setPorts(2, 100);
      boot.giveImage(
        smallImage(),
        { name: 'vda', serial: 'DISK-server-2', bytes: 0 },
        seed(bondOf(2, blueMac), 'i-2'),
      );
      await run(2, 'pxe');
      await until('a result', () => boot.results.length === 2);
      await phase(2, 'off');
      setPorts(2, 300);
      await run(2, 'disk');
      await until('the blue lease', () => floor.router.leaseOf(blueMac) !== null);
      assert.deepEqual(laws(), []);
      floor.switches[0]!.model.addTagged(200, 'TenGigabitEthernet 1/2', 'test');
      await until('the leak', () => laws().includes('isolation'));
      assert.ok(laws().includes('4a'));
    });
  });

  it('ends without a trace while machines are in the middle of something', async () => {
    await start();
    setPorts(1, 100);
    boot.holdAt = 0;
    boot.giveImage(smallImage(), { name: 'vda', serial: 'DISK-server-1', bytes: 0 }, null);
    await run(1, 'pxe');
    await until('the transfer', () => boot.ranges.length === 1);
    await floor.stop();
    await until('no connection', () => boot.openConnections === 0);
  });
});
