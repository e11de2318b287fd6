/**
 * The end-to-end test, run in the namespace of the service (see run.sh): a machine is commissioned, started by CloudStack's
 * command, stopped, started again and destroyed, with nothing simulated but the management server. Each test goes on where
 * the one before it ended; the first failure ends the story.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AdminClient } from '../../lab/demo/admin-client.ts';
import { ServiceProcess } from '../../lab/demo/service-process.ts';
import type { LabAnswer } from '../../lab/management-server/agent-connection.ts';
import {
  destroyCommand,
  startCommand,
  stopCommand,
  type LabCommand,
  type LabInstance,
} from '../../lab/management-server/commands.ts';
import { LabManagementServer } from '../../lab/management-server/lab-management-server.ts';
import { until } from '../support/until.ts';
import { qmp } from './qmp.ts';
import { Rack } from './rack.ts';

const rack = new Rack(process.env['E2E_DIR']!, process.env['E2E_ID']!);
const firmware = process.env['E2E_FIRMWARE'] === 'uefi' ? 'efi' : 'legacy';
const project = fileURLToPath(new URL('../..', import.meta.url));
// An erase is a boot of its own; once is enough.
const grade = firmware === 'legacy' ? 'quick' : 'none';
const commissionBoots = grade === 'quick' ? ['pxe', 'pxe'] : ['pxe'];
const mebibyte = 2 ** 20;
const seconds = (count: number): number => count * 1000;

const macs = ['52:54:00:aa:00:01', '52:54:00:aa:00:02'] as const;
const csMac = '06:00:ac:10:00:50';
const secondMac = '06:00:ac:10:00:51';
const ofTheMachine = [csMac, secondMac, ...macs].map((mac) => `ether host ${mac}`).join(' or ');
const ofTheTenant = [csMac, secondMac].map((mac) => `ether host ${mac}`).join(' or ');
const template = 'http://templates.example/tiny';
const instance: LabInstance = {
  name: 'i-2-77-VM',
  id: 77,
  uuid: '00000000-0000-4000-8000-000000000077',
  hostName: 'web1',
  template,
  doPxe: true,
  nics: [
    { mac: csMac, deviceId: 0, defaultNic: true, ip: '10.88.0.50', broadcastUri: 'vlan://200' },
    { mac: secondMac, deviceId: 1, defaultNic: false, ip: '10.89.0.51', broadcastUri: 'vlan://201' },
  ],
};
const provisioned = { native: 100, tagged: [] };
const tenants = { native: 200, tagged: [201] };

const rackConfig = {
  provisioning: { vlan: 100 },
  park: 'shut',
  racks: [
    {
      l2Switch: {
        ip: rack.at('ovs/db.sock'),
        username: '-',
        password: '-',
        type: 'OVS',
        name: 'tor',
        transport: 'unix',
        uplinks: ['up0'],
      },
      hosts: macs.map((mac, index) => ({ mac, port: `n1p${index + 1}`, server: 'server-1' })),
    },
  ],
};

interface Machine {
  readonly state: string;
  readonly nics: readonly { mac: string; linkUp: boolean; neighbour: string | null }[];
  readonly disks: readonly { serial: string; bytes: number }[];
  readonly cloudPlace: { readonly guid: string };
}

interface LoggedRequest {
  readonly path?: string;
  readonly status?: number;
}

describe(`an instance's life (${firmware === 'efi' ? 'UEFI' : 'BIOS'})`, function () {
  this.timeout(seconds(300));
  this.slow(seconds(300));
  const cloud = new LabManagementServer({ pingInterval: 10 });
  let service: ServiceProcess | null = null;
  let admin: AdminClient;
  let began = 0;

  /** Times of what takes long, for whoever reads the log. */
  const say = (text: string): void => {
    const since = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
    process.stdout.write(`      [${since} s] ${text}\n`);
  };
  const ports = () => ['n1p1', 'n1p2'].map((name) => rack.port(name));
  const machine = async (): Promise<Machine> =>
    (await admin.call('GET', '/machines/server-1'))['machine'] as Machine;
  const send = async (command: LabCommand): Promise<LabAnswer> => {
    const host = cloud.hosts().find(({ state }) => state === 'Up');
    assert.ok(host, 'CloudStack has no host that is Up');
    const [answer] = await cloud.send(host.hostId, [command], { timeout: seconds(270) });
    return answer!;
  };
  const succeeds = (answer: LabAnswer): void => assert.equal(answer.result, true, answer.details ?? '');
  const page = (name: string): string => rack.page(`http://10.88.0.50/${name}`);
  const logged = (text: string): readonly string[] =>
    readFileSync(rack.at('service.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes(text));
  const requests = (wanted: string): readonly LoggedRequest[] =>
    logged(`"${wanted}"`).map((line) => JSON.parse(line) as LoggedRequest);
  const ramdiskBoots = (): number => requests('/boot/v1/ramdisk/initrd').length;

  async function serve(): Promise<void> {
    service = await ServiceProcess.start({
      configFile: rack.at('csbm.yaml'),
      logFile: rack.at('service.log'),
    });
    admin = new AdminClient(service.adminUrl, readFileSync(rack.at('state/admin.token'), 'utf8').trim());
  }

  before(async () => {
    began = performance.now();
    await cloud.start();
    mkdirSync(rack.at('state/ramdisk'), { recursive: true, mode: 0o700 });
    for (const file of ['vmlinuz', 'initrd'])
      writeFileSync(
        rack.at('state/ramdisk', file),
        readFileSync(path.join(project, '.run/ramdisk-lab', file)),
      );
    writeFileSync(rack.at('cloud-ca.pem'), cloud.authority.pem);
    writeFileSync(rack.at('csbm.yaml'), config(cloud.address));
    await serve();
    await admin.call('PUT', '/rack-config', JSON.stringify(rackConfig));
    await admin.upload(`/images?name=tiny&canBond=true&firstBoot=nocloud&alias=${template}`, image());
    await admin.call('POST', '/machines', {
      hostname: 'server-1',
      macs: [...macs],
      firmware,
      bmc: { host: '127.0.0.1', port: 9623, username: 'admin', password: 'secret12' },
      cloudPlace: { cloud: 'cloudstack', zone: 'zone-1', pod: 'pod-1', cluster: '1' },
    });
  });

  after(async () => {
    await service?.stop().catch(() => undefined);
    await cloud.stop();
  });

  afterEach(function () {
    say(this.currentTest?.state ?? '');
  });

  it('commissioning boots the machine over the network, and inventories it', async () => {
    await admin.operation('POST', '/machines/server-1/commission', { grade });
    const { nics, disks, state } = await machine();
    assert.equal(state, 'ready');
    assert.deepEqual(
      nics.map((nic) => [nic.mac, nic.linkUp]),
      macs.map((mac) => [mac, true]),
    );
    assert.deepEqual(
      disks.map((disk) => [disk.serial, disk.bytes]),
      [['E2E0001', 1024 * mebibyte]],
    );
    // Open vSwitch announces its ports by LLDP.
    for (const [index, nic] of nics.entries())
      assert.match(nic.neighbour ?? '', new RegExp(` n1p${index + 1}$`));
  });

  it('it booted by DHCP and iPXE of our own dnsmasq, and is off with its ports on the provisioning network', async () => {
    if (firmware === 'efi') assert.ok(logged('snponly.efi to 10.77.0.').length > 0, 'no iPXE by TFTP');
    assert.ok(logged('boot.ipxe to 10.77.0.').length >= commissionBoots.length, 'no script by TFTP');
    assert.match(rack.console, /csbm \[\d+\] asking .* for the order/);
    const { leases } = (await admin.call('GET', '/native/leases')) as {
      readonly leases: readonly { readonly mac: string }[];
    };
    assert.ok(leases.some(({ mac }) => mac === macs[0]));
    assert.deepEqual(rack.powerOns, commissionBoots);
    assert.equal(rack.powered, false);
    assert.deepEqual(ports(), [provisioned, provisioned]);
    await cloud.waitForHost((await machine()).cloudPlace.guid, { timeout: seconds(60) });
  });

  if (firmware === 'legacy')
    it('a StartCommand survives kill -9 of the service in the middle of the image', async () => {
      const booted = ramdiskBoots();
      await killedWhen(() => rack.diskUsed > 16 * mebibyte, 'the image on its way');
      say(`killed with ${(rack.diskUsed / mebibyte).toFixed(0)} MiB of the image on the disk`);
      // Long enough for the ramdisk to meet the silence.
      await wait(seconds(3));
      await startAgain();
      // The ramdisk that was at work went on: it was not booted once more, and asked for the rest of the image only.
      assert.equal(ramdiskBoots(), booted + 1);
      assert.ok(requests('/boot/v1/agent/image').some((request) => request.status === 206));
    });
  else
    it('a StartCommand survives kill -9 of the service before the machine asked what to boot', async () => {
      const before = rack.powerOns.length;
      await killedWhen(() => rack.powerOns.length > before, 'the power-on');
      // It got that far by dnsmasq alone, and does not go on to its disk.
      await until(
        () => /no answer, asking again/.test(rack.console),
        'iPXE waiting for the service',
        seconds(120),
      );
      say('iPXE waits for the service');
      await startAgain();
    });

  it('it installed over the network, then booted from the disk with its ports on the VLANs of the tenant', () => {
    const boots = rack.powerOns.slice(commissionBoots.length);
    assert.equal(boots.at(-1), 'default');
    // More than once where a power-on was cut.
    assert.ok(boots.length >= 2 && boots.slice(0, -1).every((device) => device === 'pxe'), boots.join(', '));
    assert.equal(rack.powered, true);
    assert.deepEqual(ports(), [tenants, tenants]);
    assert.deepEqual(rack.port('up0'), { native: null, tagged: [100, 200, 201] });
  });

  it('the virtual router behind the uplink has leases for the MACs that CloudStack allotted', async () => {
    await until(() => Boolean(rack.lease(csMac) && rack.lease(secondMac)), 'the leases', seconds(90));
    assert.match(rack.lease(csMac)!, / 10\.88\.0\.50 /);
    assert.match(rack.lease(secondMac)!, / 10\.89\.0\.51 /);
  });

  it('they are on the bond and on its VLAN interface', async () => {
    await until(() => page('hostname') === 'web1', 'the system to answer by its name', seconds(90));
    const wanted = [`bond0 ${csMac} 10.88.0.50/24`, `vlan201 ${secondMac} 10.89.0.51/24`];
    const isUp = (): boolean => wanted.every((line) => page('interfaces').split('\n').includes(line));
    await until(isUp, 'the interfaces to have MACs and addresses of CloudStack', seconds(60));
    await until(
      () => page('bond').match(/Slave Interface/g)?.length === 2,
      'both legs in the bond',
      seconds(60),
    );
    assert.match(page('bond'), /active-backup/);
  });

  if (firmware === 'efi')
    it('the tenant stays reachable when a leg of the bond is pulled', async () => {
      const active = /Currently Active Slave: eth([01])/.exec(page('bond'))?.[1];
      assert.ok(active, page('bond'));
      // eth0 and eth1, in the order of the netdevs n1 and n2.
      const name = `n${Number(active) + 1}`;
      // Open vSwitch learns MACs once more from late flow statistics: without silence it would learn the old port back.
      await wait(seconds(3));
      await qmp(rack.at('machine.qmp'), 'set_link', { name, up: false });
      const pulled = performance.now();
      await until(() => rack.pings('10.88.0.50'), 'the tenant to be reachable', seconds(30));
      say(
        `reachable ${((performance.now() - pulled) / 1000).toFixed(1)} s after the cable of eth${active} was pulled`,
      );
      const other = `Currently Active Slave: eth${1 - Number(active)}`;
      await until(() => page('bond').includes(other), 'the other leg to be the active one', seconds(30));
      await qmp(rack.at('machine.qmp'), 'set_link', { name, up: true });
    });

  it('no other tenant hears the machine, and the provisioning network never hears the tenant', async () => {
    // What is on its way is captured by then.
    await wait(seconds(1));
    hearsNothing();
  });

  it('a StopCommand shuts the system down in order', async () => {
    const before = rack.bmcCommands.length;
    succeeds(await send(stopCommand({ name: instance.name })));
    assert.equal(rack.powered, false);
    const commands = rack.bmcCommands.slice(before);
    assert.ok(commands.includes('set shutdown 1'), commands.join('; '));
    assert.ok(!commands.includes('set power 0'), 'its power was cut');
  });

  it('a StartCommand boots it from its disk again', async () => {
    const seen = rack.acknowledged(csMac);
    const booted = ramdiskBoots();
    succeeds(await send(startCommand({ ...instance, doPxe: false })));
    await until(() => rack.acknowledged(csMac) > seen, 'the lease again', seconds(90));
    await until(() => page('hostname') === 'web1', 'the system to answer again', seconds(90));
    assert.equal(ramdiskBoots(), booted);
    assert.equal(rack.powerOns.at(-1), 'default');
  });

  it('a DestroyCommand erases the disk and leaves the machine off, its ports on the provisioning network', async () => {
    succeeds(await send(destroyCommand(instance)));
    assert.equal(rack.powered, false);
    assert.equal(rack.powerOns.at(-1), 'pxe');
    assert.deepEqual(ports(), [provisioned, provisioned]);
    assert.equal((await machine()).state, 'ready');
  });

  it('no signature is left on the disk', () => {
    assert.equal(rack.diskSignatures, '');
    for (const end of ['first', 'last'] as const)
      assert.ok(
        rack.diskEnd(end, 8 * mebibyte).every((byte) => byte === 0),
        `the ${end} 8 MiB are not zero`,
      );
  });

  it('still no other tenant has heard the machine', hearsNothing);

  /** Sends the StartCommand, and ends the service by kill -9 as soon as `moment` has come. */
  async function killedWhen(moment: () => boolean, what: string): Promise<void> {
    const starting = send(startCommand(instance));
    starting.catch(() => undefined);
    await until(moment, what, seconds(240));
    await service!.kill();
    await assert.rejects(starting, 'the command was answered by a dead service');
  }

  /** The service is back, and gets the same command again. */
  async function startAgain(): Promise<void> {
    await serve();
    await cloud.until(
      'the host to be Up again',
      () => cloud.hosts().find((host) => host.state === 'Up' && host.connects >= 2),
      seconds(90),
    );
    succeeds(await send(startCommand(instance)));
  }

  function hearsNothing(): void {
    assert.ok(rack.heard('vr0', ofTheTenant), 'even the router heard nothing: its capture is broken');
    assert.ok(rack.heard('ot0', ''), "the other tenant's capture is empty: it is broken");
    assert.ok(!rack.heard('ot0', ofTheMachine), 'another tenant heard the machine');
    assert.ok(
      rack.heard('pxe0', `ether host ${macs[0]}`),
      'the capture of the provisioning network is broken',
    );
    assert.ok(!rack.heard('pxe0', ofTheTenant), 'the provisioning network heard the tenant');
  }
});

function config({ host, port }: { readonly host: string; readonly port: number }): string {
  return `stateDir: ${rack.at('state')}
http: { port: 0 }
boot: { host: 10.77.0.1, port: 8480, kernelArguments: "console=ttyS0,115200 quiet" }
provisioning:
  network: { enabled: true, interface: pxe0, address: 10.77.0.1/24, range: 10.77.0.100-10.77.0.200 }
erase: { defaultGrade: quick }
log: { level: debug }
switch: { settings: { OVS: { bridge: tor } } }
cloudstack: { agent: { enabled: true, servers: ["${host}:${port}"], caFile: ${rack.at('cloud-ca.pem')} } }
timings: { softOff: 30s }
`;
}

/** The tiny image; where its transfer is to be cut, uncompressed and with noise behind its partitions, to take long enough. */
function image(): Uint8Array<ArrayBuffer> {
  const tiny = path.join(project, '.run/tiny.raw.zst');
  if (firmware === 'efi') return new Uint8Array(readFileSync(tiny));
  const raw = execFileSync('zstd', ['-dc', tiny], { maxBuffer: 256 * mebibyte });
  return new Uint8Array(Buffer.concat([raw, randomBytes(128 * mebibyte)]));
}
