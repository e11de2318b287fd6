import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parse } from 'yaml';
import {
  parseMac,
  type DiskFacts,
  type Inventory,
  type PhaseOrder,
  type PhaseProgress,
} from '../../../plugin-api/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { openStorage } from '../../../src/store/open-storage.ts';
import { mac1, machineId, machineOf } from '../../operations/boot/boot-samples.ts';
import { requirePeer } from '../../support/peers.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { bootFolder, inOnePiece, startBootFloor, type BootFloor } from './boot-floor.ts';
import type { BootServiceSettings } from './boot-service.ts';

const agentScript = fileURLToPath(new URL('fake-agent.sh', import.meta.url));
const serviceScript = fileURLToPath(new URL('boot-service.ts', import.meta.url));
/** Room for the image and for first-boot data. */
const diskBytes = 12 * 1024 * 1024;
const raw = Buffer.concat([Buffer.alloc(512), randomBytes(1_500_000)]);
const csMac = parseMac('02:00:11:22:33:44');
const order = { machineId: machineId as string, hostname: 'm1', macs: [mac1] };

/** A condition that comes about by itself; the test's own time limit ends the wait. */
async function until<T>(look: () => T | null | undefined | false): Promise<T> {
  for (;;) {
    const seen = look();
    if (seen) return seen;
    await wait(10);
  }
}

describe('boot conversation with a machine in sh, curl and jq', function () {
  this.timeout(60_000);
  let temp: TempStorage;
  let folder: ReturnType<typeof bootFolder>;
  let floor: BootFloor;
  let machine: string;
  const children: ChildProcess[] = [];

  before(function () {
    for (const peer of ['curl', 'jq', 'sha256sum']) requirePeer(this, peer);
  });

  beforeEach(async () => {
    temp = await tempStorage();
    folder = bootFolder();
    machine = join(folder.folder, 'machine');
    mkdirSync(join(machine, 'disks'), { recursive: true });
    for (const name of ['vda', 'vdb']) {
      writeFileSync(join(machine, 'disks', name), randomBytes(diskBytes));
      writeFileSync(join(machine, 'disks', `${name}.serial`), `S-${name}\n`);
    }
    await temp.storage.run((tx) => tx.machines.insert(machineOf()));
    floor = await startBootFloor({ storage: temp.storage, folder: folder.folder });
  });

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await floor.close();
    await temp.close();
    folder.remove();
  });

  /** Powers the machine on; resolves with its exit code when it is off again. */
  function powerOn(base: string, env: Readonly<Record<string, string>> = {}): Promise<number | null> {
    const child = spawn('sh', [agentScript, base, mac1, machine], {
      env: { ...process.env, ...env },
      stdio: 'inherit',
    });
    children.push(child);
    return once(child, 'exit').then(([code]) => code as number | null);
  }

  const machineLog = (): string => readFileSync(join(machine, 'log'), 'utf8');
  const diskOf = (name: string): Buffer => readFileSync(join(machine, 'disks', name));

  /** What an operation does: begin, arm, power on, and read how it ended. */
  async function phase(wanted: PhaseOrder): Promise<PhaseProgress> {
    await floor.engine.begin(wanted);
    await temp.storage.run((tx) => floor.boots.arm(tx, wanted.id));
    assert.equal(await powerOn(floor.base), 0, existsSync(join(machine, 'log')) ? machineLog() : 'no log');
    return (await floor.engine.progress(wanted.id))!;
  }

  const addImage = (bytes: Buffer, to = floor) =>
    to.images.add({ name: 'tiny', canBond: true, firstBoot: 'nocloud', aliases: [] }, inOnePiece(bytes));

  const deployOrder = (id: string, disks: readonly DiskFacts[]): PhaseOrder => ({
    ...order,
    id,
    phase: 'deploy',
    image: 'tiny',
    nicPlan: [{ kind: 'nic', name: 'nic0', hardware: mac1, mac: csMac, dhcp: true }],
    firstBoot: {
      instanceId: 'i-2-77',
      hostname: 'web1',
      sshKeys: ['ssh-rsa A'],
      userData: '#!/bin/sh\necho "$1" ä\n',
    },
    rootDisk: { serial: 'S-vdb' },
    disks,
  });

  const disksOf = (inventory: Inventory | undefined): readonly DiskFacts[] => inventory!.disks;
  const knownDisks: readonly DiskFacts[] = ['vda', 'vdb'].map((name) => ({
    name,
    model: '',
    serial: `S-${name}`,
    bytes: diskBytes,
    rotational: false,
    removable: false,
    readOnly: false,
  }));

  it('commissions, deploys and erases', async () => {
    await addImage(gzipSync(raw));
    const commissioned = await phase({ ...order, id: 'op-1:commission', phase: 'commission' });
    assert.equal(commissioned.state, 'done', JSON.stringify(commissioned));
    assert.deepEqual(disksOf(commissioned.inventory), knownDisks);
    assert.equal(commissioned.inventory?.nics[0]?.speedMbps, null);
    assert.equal(readFileSync(join(machine, 'vmlinuz'), 'utf8'), 'kernel '.repeat(100));

    const before = diskOf('vda');
    const deployed = await phase(deployOrder('op-2:deploy', disksOf(commissioned.inventory)));
    assert.equal(deployed.state, 'done', JSON.stringify(deployed));
    assert.ok(diskOf('vdb').subarray(0, raw.length).equals(raw));
    assert.ok(diskOf('vda').equals(before), 'another disk was touched');
    const seed = (name: string): string => readFileSync(join(machine, 'seed', name), 'utf8');
    assert.equal(seed('user-data'), '#!/bin/sh\necho "$1" ä\n');
    assert.equal((parse(seed('meta-data')) as Record<string, unknown>)['instance-id'], 'i-2-77');
    assert.equal(
      (parse(seed('network-config')) as { ethernets: { nic0: { macaddress: string } } }).ethernets.nic0
        .macaddress,
      csMac,
    );

    const erased = await phase({
      ...order,
      id: 'op-3:erase',
      phase: 'erase',
      grade: 'secure',
      disks: knownDisks,
    });
    assert.equal(erased.state, 'done', JSON.stringify(erased));
    assert.equal(erased.evidence?.verified, true);
    assert.ok(['vda', 'vdb'].every((name) => diskOf(name).every((byte) => byte === 0)));
    assert.equal(machineLog().match(/^then power-off$/gm)?.length, 3);
    const token = /csbm\.token=(\S+)/.exec(readFileSync(join(machine, 'script.ipxe'), 'utf8'))![1]!;
    assert.ok(!floor.logged().includes(token));
  });

  it('deploys zstd images', async function () {
    requirePeer(this, 'zstd');
    const packed = spawn('zstd', ['-qc'], { stdio: ['pipe', 'pipe', 'inherit'] });
    packed.stdin.end(raw);
    const chunks: Buffer[] = [];
    for await (const chunk of packed.stdout) chunks.push(chunk as Buffer);
    await addImage(Buffer.concat(chunks));
    assert.equal((await phase(deployOrder('op-1:deploy', knownDisks))).state, 'done');
    assert.ok(diskOf('vdb').subarray(0, raw.length).equals(raw));
  });

  it('is refused an order that was not armed', async () => {
    await floor.engine.begin({ ...order, id: 'op-1:commission', phase: 'commission' });
    assert.equal(await powerOn(floor.base), 0);
    assert.match(machineLog(), /no order: its order waits for our own power-on/);
    assert.equal((await floor.engine.progress('op-1:commission'))?.state, 'waiting');
  });

  it('fails an erase of a machine from which a disk was pulled', async () => {
    const pulled = { ...knownDisks[0]!, name: 'vdc', serial: 'S-vdc' };
    const erased = await phase({
      ...order,
      id: 'op-1:erase',
      phase: 'erase',
      grade: 'quick',
      disks: [...knownDisks, pulled],
    });
    assert.equal(erased.error?.code, 'deploy.disk-missing');
    assert.match(erased.error.said, /vdc/);
  });

  it('goes on after the service is killed in the middle of the image, from the byte it has', async () => {
    const size = 24 * 1024 * 1024;
    const big = Buffer.concat([Buffer.alloc(512), randomBytes(size - 512)]);
    writeFileSync(join(machine, 'disks', 'vdb'), Buffer.alloc(size));
    await addImage(big);
    const disks = knownDisks.map((disk) =>
      disk.name === 'vdb' ? { ...disk, bytes: size + diskBytes } : disk,
    );
    await floor.engine.begin(deployOrder('op-1:deploy', disks));
    await temp.storage.run((tx) => floor.boots.arm(tx, 'op-1:deploy'));
    await floor.close();
    await temp.storage.close();

    const settings: BootServiceSettings = {
      file: temp.file,
      key: temp.key.base64.reveal(),
      folder: folder.folder,
      port: 0,
    };
    const first = await startService(settings);
    const off = powerOn(`http://127.0.0.1:${first.port}`, { RATE: '8M' });
    const partial = join(machine, 'image');
    await until(() => existsSync(partial) && statSync(partial).size > 1024 * 1024);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const second = await startService({ ...settings, port: first.port });
    assert.equal(await off, 0, machineLog());
    second.child.kill('SIGKILL');
    await once(second.child, 'exit');

    assert.match(machineLog(), /^image 206 25165824$/m, machineLog());
    assert.ok(diskOf('vdb').equals(big));
    const storage = await openStorage({
      type: 'sqlite',
      file: temp.file,
      key: temp.key,
      clock: new SystemClock(),
    });
    floor = await startBootFloor({ storage, folder: folder.folder });
    const progress = await floor.engine.progress('op-1:deploy');
    await storage.close();
    assert.equal(progress?.state, 'done');
    assert.equal(progress.evidence?.data?.['sha256'], createHash('sha256').update(big).digest('hex'));
  });

  async function startService(settings: BootServiceSettings): Promise<{ child: ChildProcess; port: number }> {
    const child = spawn(process.execPath, ['--import', 'tsx', serviceScript], {
      env: { ...process.env, BOOT_SERVICE: JSON.stringify(settings) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    return { child, port: Number(line) };
  }
});
