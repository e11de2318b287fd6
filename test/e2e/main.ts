/**
 * The story of the end-to-end test, told in the namespace of the service (see run.sh): a machine is commissioned, started by
 * CloudStack's command, stopped, started again and destroyed, with nothing simulated but the management server.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
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
import { qmp } from './qmp.ts';

const directory = process.env['E2E_DIR']!;
const id = process.env['E2E_ID']!;
const firmware = process.env['E2E_FIRMWARE'] === 'uefi' ? 'efi' : 'legacy';
const project = fileURLToPath(new URL('../..', import.meta.url));
const at = (...parts: readonly string[]): string => path.join(directory, ...parts);
const mebibyte = 2 ** 20;

const macs = ['52:54:00:aa:00:01', '52:54:00:aa:00:02'] as const;
const csMac = '06:00:ac:10:00:50';
const secondMac = '06:00:ac:10:00:51';
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

const began = performance.now();
const say = (text: string): void => {
  process.stdout.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)}] ${text}\n`);
};
const sh = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
const inRouter = (...command: readonly string[]): string => {
  try {
    return sh('ip', 'netns', 'exec', `${id}-vr`, ...command);
  } catch {
    return '';
  }
};
const ovs = (...args: readonly string[]): string =>
  sh('ovs-vsctl', `--db=unix:${at('ovs/db.sock')}`, '--timeout=20', ...args);

async function until<T>(
  what: string,
  look: () => T | null | undefined | false | '',
  seconds: number,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const seen = look();
    if (seen) return seen;
    if (performance.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await wait(100);
  }
}

function writeConfig(cloud: LabManagementServer): void {
  mkdirSync(at('state'), { recursive: true, mode: 0o700 });
  writeFileSync(at('cloud-ca.pem'), cloud.authority.pem);
  const { host, port } = cloud.address;
  writeFileSync(
    at('csbm.yaml'),
    `stateDir: ${at('state')}
http: { port: 0 }
boot: { host: 10.77.0.1, port: 8480 }
provisioning:
  network: { enabled: true, interface: pxe0, address: 10.77.0.1/24, range: 10.77.0.100-10.77.0.200 }
erase: { defaultGrade: quick }
log: { level: debug }
switch: { settings: { OVS: { bridge: tor } } }
cloudstack: { agent: { enabled: true, servers: ["${host}:${port}"], caFile: ${at('cloud-ca.pem')} } }
timings: { softOff: 20s }
`,
  );
}

const rackConfig = {
  provisioning: { vlan: 100 },
  park: 'shut',
  racks: [
    {
      l2Switch: {
        ip: at('ovs/db.sock'),
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

const tinyImage = path.join(project, '.run/tiny.raw.zst');

/** The tiny image uncompressed, with noise behind its partitions: it takes long enough to be cut in the middle. */
function longImage(): Uint8Array<ArrayBuffer> {
  const raw = execFileSync('zstd', ['-dc', tinyImage], { maxBuffer: 256 * mebibyte });
  return new Uint8Array(Buffer.concat([raw, randomBytes(160 * mebibyte)]));
}

interface Machine {
  readonly state: string;
  readonly nics: readonly { mac: string; linkUp: boolean; neighbour: string | null }[];
  readonly disks: readonly { serial: string; bytes: number }[];
  readonly cloudPlace: { readonly guid: string };
}

let service: ServiceProcess | null = null;
let admin: AdminClient;

async function serve(): Promise<void> {
  service = await ServiceProcess.start({ configFile: at('csbm.yaml'), logFile: at('service.log') });
  admin = new AdminClient(service.adminUrl, readFileSync(at('state/admin.token'), 'utf8').trim());
}

const machine = async (): Promise<Machine> =>
  (await admin.call('GET', '/machines/server-1'))['machine'] as Machine;
const powered = (): boolean => {
  try {
    process.kill(Number(readFileSync(at('machine.pid'), 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
};
const portsOf = (): readonly unknown[] =>
  ['n1p1', 'n1p2'].map((port) => {
    const row = JSON.parse(ovs('--format=json', '--columns=tag,trunks', 'list', 'port', port)) as {
      readonly data: readonly [readonly [unknown, ['set', readonly number[]] | number]];
    };
    const [tag, trunks] = row.data[0];
    // The native VLAN is among the trunks where a port has any.
    const all = Array.isArray(trunks) ? trunks[1] : [trunks];
    return { tag, trunks: all.filter((vlan) => vlan !== tag) };
  });
const leaseOf = (mac: string): string | undefined =>
  readFileSync(at('vr/leases'), 'utf8')
    .split('\n')
    .find((line) => line.includes(mac));
const acknowledged = (mac: string): number =>
  readFileSync(at('vr/log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('DHCPACK') && line.includes(mac)).length;
interface LoggedRequest {
  readonly path?: string;
  readonly status?: number;
}
const requests = (wanted: string): readonly LoggedRequest[] =>
  readFileSync(at('service.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes(`"${wanted}"`))
    .map((line) => JSON.parse(line) as LoggedRequest);
const ramdiskBoots = (): number => requests('/boot/v1/ramdisk/initrd').length;
const framesIn = (pcap: string, filter: string): number =>
  sh('tcpdump', '-n', '-e', '-r', at(pcap), filter)
    .split('\n')
    .filter((line) => line !== '').length;

async function main(): Promise<void> {
  const cloud = new LabManagementServer({ pingInterval: 10 });
  await cloud.start();
  try {
    writeConfig(cloud);
    mkdirSync(at('state/ramdisk'), { recursive: true, mode: 0o700 });
    for (const file of ['vmlinuz', 'initrd'])
      writeFileSync(at('state/ramdisk', file), readFileSync(path.join(project, '.run/ramdisk-lab', file)));
    await serve();
    say('the service is up');
    await admin.call('PUT', '/rack-config', JSON.stringify(rackConfig));
    await admin.upload(
      `/images?name=tiny&canBond=true&firstBoot=nocloud&alias=${template}`,
      firmware === 'legacy' ? longImage() : readFileSync(tinyImage),
    );
    await admin.call('POST', '/machines', {
      hostname: 'server-1',
      macs: [...macs],
      firmware,
      bmc: { host: '127.0.0.1', port: 9623, username: 'admin', password: 'secret12' },
      cloudPlace: { cloud: 'cloudstack', zone: 'zone-1', pod: 'pod-1', cluster: '1' },
    });
    await admin.operation('POST', '/machines/server-1/commission', { grade: 'quick' });
    const enrolled = await machine();
    say(
      `commissioned: ${enrolled.nics.length} NICs, neighbours ${enrolled.nics.map((nic) => nic.neighbour ?? 'none').join(', ')}`,
    );
    assert.deepEqual(
      enrolled.nics.map((nic) => [nic.mac, nic.linkUp]),
      macs.map((mac) => [mac, true]),
    );
    assert.deepEqual(
      enrolled.disks.map((disk) => [disk.serial, disk.bytes]),
      [['E2E0001', 1024 * mebibyte]],
    );
    // Open vSwitch announces its ports by LLDP.
    for (const [index, nic] of enrolled.nics.entries())
      assert.match(nic.neighbour ?? '', new RegExp(` n1p${index + 1}$`));
    assert.equal(powered(), false);

    const { hostId } = await cloud.waitForHost(enrolled.cloudPlace.guid, { timeout: 60_000 });
    const send = async (command: LabCommand): Promise<LabAnswer> => {
      const [answer] = await cloud.send(hostId, [command], { timeout: 300_000 });
      return answer!;
    };

    const booted = ramdiskBoots();
    const starting = send(startCommand(instance));
    const started = firmware === 'legacy' ? await killedInTheImage(booted, starting) : await starting;
    assert.equal(started.result, true, started.details ?? '');
    say('StartCommand is answered');

    await until('the leases', () => leaseOf(csMac) && leaseOf(secondMac), 60);
    assert.match(leaseOf(csMac)!, /10\.88\.0\.50/);
    assert.match(leaseOf(secondMac)!, /10\.89\.0\.51/);
    assert.deepEqual(portsOf(), [
      { tag: 200, trunks: [201] },
      { tag: 200, trunks: [201] },
    ]);
    const page = (name: string): string => inRouter('curl', '-sf', '-m', '5', `http://10.88.0.50/${name}`);
    await until('the system to answer', () => page('hostname') === 'web1', 60);
    const wanted = [`bond0 ${csMac} 10.88.0.50/24`, `vlan201 ${secondMac} 10.89.0.51/24`];
    const isUp = (): boolean => wanted.every((line) => page('interfaces').split('\n').includes(line));
    await until('its interfaces to have MACs and addresses of CloudStack', isUp, 30);
    const bond = await until('the bond', () => page('bond').includes('Slave Interface') && page('bond'), 20);
    assert.match(bond, /active-backup/);
    assert.equal(bond.match(/Slave Interface/g)?.length, 2);
    say('the leases are for the MACs that CloudStack allotted, on the bond and on its VLAN interface');

    if (firmware === 'efi') await pullCable(page);

    await wait(1_000);
    const ours = [csMac, secondMac, ...macs].map((mac) => `ether host ${mac}`).join(' or ');
    assert.ok(framesIn('vr0.pcap', ours) > 0, 'even the router heard nothing: the capture is broken');
    assert.ok(framesIn('ot0.pcap', 'ether[0] >= 0') > 0, "the other tenant's capture is empty: it is broken");
    assert.equal(framesIn('ot0.pcap', ours), 0, 'another tenant heard the machine');
    say('another tenant heard nothing');

    const stopped = await send(stopCommand({ name: instance.name }));
    assert.equal(stopped.result, true, stopped.details ?? '');
    assert.equal(powered(), false);
    say('stopped');

    const seen = acknowledged(csMac);
    const again = await send(startCommand({ ...instance, doPxe: false }));
    assert.equal(again.result, true, again.details ?? '');
    await until('the lease again', () => acknowledged(csMac) > seen, 60);
    await until('the system to answer again', () => page('hostname') === 'web1', 60);
    say('started again from its disk');

    const destroyed = await send(destroyCommand(instance));
    assert.equal(destroyed.result, true, destroyed.details ?? '');
    assert.equal(powered(), false);
    assert.deepEqual(portsOf(), [
      { tag: 100, trunks: [] },
      { tag: 100, trunks: [] },
    ]);
    assert.equal((await machine()).state, 'ready');
    assert.equal(sh('wipefs', '--no-act', '--noheadings', at('machine.disk')), '');
    const bytes = statSync(at('machine.disk')).size;
    for (const from of [0, bytes - 8 * mebibyte])
      assert.ok(
        part(from, 8 * mebibyte).every((byte) => byte === 0),
        `bytes from ${from} on are not zero`,
      );
    assert.equal(framesIn('ot0.pcap', ours), 0, 'another tenant heard the machine');
    say('destroyed: off, ports on the provisioning network, no signature on the disk');
  } finally {
    await service?.stop().catch(() => undefined);
    await cloud.stop();
  }

  /** The service dies by kill -9 when part of the image is on the disk, and comes back. */
  async function killedInTheImage(booted: number, starting: Promise<LabAnswer>): Promise<LabAnswer> {
    starting.catch(() => undefined);
    const onDisk = (): number =>
      existsSync(at('machine.disk')) ? statSync(at('machine.disk')).blocks * 512 : 0;
    await until('the image on its way', () => onDisk() > 40 * mebibyte, 180);
    await service!.kill();
    const cut = onDisk();
    say(`kill -9 of the service with ${(cut / mebibyte).toFixed(0)} MiB of the image on the disk`);
    await assert.rejects(starting, 'the command was answered by a dead service');
    await wait(3_000);
    await serve();
    say('the service is up again');
    const { hostId } = await cloud.until(
      'the host to be Up again',
      () => cloud.hosts().find((host) => host.state === 'Up' && host.connects >= 2),
      60_000,
    );
    const [answer] = await cloud.send(hostId, [startCommand(instance)], { timeout: 300_000 });
    // The ramdisk that was at work went on: it was not booted once more, and asked for the rest of the image only.
    assert.equal(ramdiskBoots(), booted + 1);
    assert.ok(requests('/boot/v1/agent/image').some((request) => request.status === 206));
    return answer!;
  }

  /** One leg of the bond is pulled; the tenant stays reachable. */
  async function pullCable(page: (name: string) => string): Promise<void> {
    const active = /Currently Active Slave: (\S+)/.exec(page('bond'))![1]!;
    // eth0 and eth1, in the order of the netdevs n1 and n2.
    const index = Number(active.slice(-1)) + 1;
    // Open vSwitch learns MACs once more from late flow statistics: without silence it would learn the old port back.
    await wait(3_000);
    await qmp(at('machine.qmp'), 'set_link', { name: `n${index}`, up: false });
    const cut = performance.now();
    await until(
      'the tenant to stay reachable',
      () => inRouter('busybox', 'ping', '-c1', '-W1', '10.88.0.50').includes('1 packets received'),
      30,
    );
    say(
      `the cable of ${active} was pulled; reachable ${((performance.now() - cut) / 1000).toFixed(1)} s later`,
    );
    await until(
      'the other leg',
      () => /Currently Active Slave: (\S+)/.exec(page('bond'))?.[1] !== active && page('bond') !== '',
      20,
    );
    await qmp(at('machine.qmp'), 'set_link', { name: `n${index}`, up: true });
  }
}

function part(from: number, bytes: number): Buffer {
  const file = openSync(at('machine.disk'), 'r');
  try {
    const read = Buffer.alloc(bytes);
    readSync(file, read, 0, bytes, from);
    return read;
  } finally {
    closeSync(file);
  }
}

try {
  await main();
  say('passed');
} catch (error) {
  say(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 1;
}
