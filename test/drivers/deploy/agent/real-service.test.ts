import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import {
  parseMac,
  type DiskFacts,
  type PhaseOrder,
  type PhaseProgress,
} from '../../../../plugin-api/index.ts';
import { SystemClock } from '../../../../src/kernel/clock/system-clock.ts';
import { openStorage } from '../../../../src/store/open-storage.ts';
import { bootFolder, inOnePiece, startBootFloor, type BootFloor } from '../../../api/boot/boot-floor.ts';
import type { BootServiceSettings } from '../../../api/boot/boot-service.ts';
import { mac1, mac2, machineId, machineOf } from '../../../operations/boot/boot-samples.ts';
import { requirePeer } from '../../../support/peers.ts';
import { tempStorage, type TempStorage } from '../../../support/temp-storage.ts';
import { until } from '../../../support/until.ts';
import { RamdiskSandbox, requireRamdiskPrograms, which } from './ramdisk-sandbox.ts';
import { content, gptImage, mebibyte, zstd } from './sample-images.ts';

const serviceScript = fileURLToPath(new URL('../../../api/boot/boot-service.ts', import.meta.url));
const csMac = parseMac('02:00:11:22:33:44');
const order = { machineId: machineId as string, hostname: 'm1', macs: [mac1, mac2] };
const known: readonly DiskFacts[] = ['vda', 'vdb'].map((name, index) => ({
  name,
  model: '',
  serial: `S-${name}`,
  bytes: (index + 1) * 32 * mebibyte,
  rotational: false,
  removable: false,
  readOnly: false,
}));

describe('the ramdisk agent and the real boot service', function () {
  this.timeout(60_000);
  let temp: TempStorage;
  let folder: ReturnType<typeof bootFolder>;
  let floor: BootFloor;
  let machine: RamdiskSandbox;
  const children: ChildProcess[] = [];

  before(function () {
    requireRamdiskPrograms(this);
  });
  beforeEach(async () => {
    temp = await tempStorage();
    folder = bootFolder();
    machine = new RamdiskSandbox(
      known,
      [mac1, mac2].map((mac, index) => ({ name: `eth${index}`, mac })),
    );
    await temp.storage.run((tx) => tx.machines.insert(machineOf()));
    floor = await startBootFloor({ storage: temp.storage, folder: folder.folder });
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await machine.close();
    await floor.close();
    await temp.close();
    folder.remove();
  });

  /** Asks for the boot decision as iPXE does, and runs the agent with what the kernel line says. */
  async function powerOn(base: string): Promise<number | null> {
    const script = await (await fetch(`${base}/boot/v1/script?mac=${mac1}&platform=pcbios`)).text();
    const token = /csbm\.token=(\S+)/.exec(script)?.[1];
    assert.ok(token, script);
    return machine.run(base, token);
  }

  /** What an operation does: begin, arm, power on, and read how it ended. */
  async function phase(wanted: PhaseOrder): Promise<PhaseProgress> {
    await floor.engine.begin(wanted);
    await temp.storage.run((tx) => floor.boots.arm(tx, wanted.id));
    await powerOn(floor.base);
    return (await floor.engine.progress(wanted.id))!;
  }

  const addImage = (bytes: Buffer) =>
    floor.images.add({ name: 'tiny', canBond: true, firstBoot: 'nocloud', aliases: [] }, inOnePiece(bytes));
  const deployOrder = (id: string, disks = known): PhaseOrder => ({
    ...order,
    id,
    phase: 'deploy',
    image: 'tiny',
    nicPlan: [
      { kind: 'bond', name: 'bond0', mode: 'active-backup', members: [mac1, mac2], mac: csMac, dhcp: true },
    ],
    firstBoot: {
      instanceId: 'i-2-77',
      hostname: 'web1',
      sshKeys: ['ssh-rsa A'],
      userData: '#!/bin/sh\necho "$1" ä\n',
    },
    rootDisk: { serial: 'S-vdb' },
    disks,
  });
  const slowly = (rate: string): void =>
    machine.fakeProgram(
      'curl',
      `case "$*" in */image) exec ${which('curl')} --limit-rate ${rate} "$@" ;; *) exec ${which('curl')} "$@" ;; esac`,
    );

  it('commission, deploy, and erase with the evidence that is asked for', async () => {
    const commissioned = await phase({ ...order, id: 'op-1:commission', phase: 'commission' });
    assert.equal(commissioned.state, 'done', JSON.stringify(commissioned));
    assert.deepEqual(commissioned.inventory!.disks, known);

    const raw = gptImage();
    await addImage(gzipSync(raw));
    const before = machine.disk('vda');
    const deployed = await phase(deployOrder('op-2:deploy', commissioned.inventory!.disks));
    assert.equal(deployed.state, 'done', `${JSON.stringify(deployed)}\n${machine.log}`);
    assert.ok(
      machine
        .disk('vdb')
        .subarray(mebibyte, raw.length - mebibyte)
        .equals(content(raw)),
    );
    assert.ok(machine.disk('vda').equals(before), 'another disk was touched');
    const seed = 64 * mebibyte - 5 * mebibyte;
    assert.equal(machine.seedFile('vdb', seed, 'user-data'), '#!/bin/sh\necho "$1" ä\n');
    assert.match(machine.seedFile('vdb', seed, 'network-config'), new RegExp(`macaddress: "${csMac}"`));
    assert.match(machine.seedFile('vdb', seed, 'meta-data'), /instance-id: "i-2-77"/);

    const erased = await phase({ ...order, id: 'op-3:erase', phase: 'erase', grade: 'secure', disks: known });
    assert.equal(erased.state, 'done', JSON.stringify(erased));
    assert.equal(erased.evidence?.verified, true);
    for (const { name, bytes } of known) assert.ok(machine.disk(name).equals(Buffer.alloc(bytes)), name);
  });

  it('deploy what was uploaded as qcow2, byte for byte, to a disk with just the room for it', async function () {
    requirePeer(this, 'qemu-img');
    const raw = gptImage(26 * mebibyte);
    const [file, qcow2] = ['disk.raw', 'disk.qcow2'].map((name) => path.join(folder.folder, name));
    writeFileSync(file!, raw);
    execFileSync('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', file!, qcow2!]);
    const image = await addImage(readFileSync(qcow2!));
    assert.equal(image.rawBytes, raw.length);
    // 32 MiB are 6 more than the image has.
    const deployed = await phase({ ...deployOrder('op-1:deploy'), rootDisk: {} } as PhaseOrder);
    assert.equal(deployed.state, 'done', `${JSON.stringify(deployed)}\n${machine.log}`);
    assert.ok(
      machine
        .disk('vda')
        .subarray(mebibyte, raw.length - mebibyte)
        .equals(content(raw)),
    );
    assert.match(machine.seedFile('vda', 27 * mebibyte, 'meta-data'), /instance-id: "i-2-77"/);
  });

  it('go on after the service is killed in the middle of a zstd image, and restarted later', async () => {
    const raw = gptImage(24 * mebibyte);
    const stored = zstd(raw);
    await addImage(stored);
    await floor.engine.begin(deployOrder('op-1:deploy'));
    await temp.storage.run((tx) => floor.boots.arm(tx, 'op-1:deploy'));
    await floor.close();
    await temp.storage.close();

    const settings = { file: temp.file, key: temp.key.base64.reveal(), folder: folder.folder, port: 0 };
    const first = await startService(settings);
    slowly('6M');
    const off = powerOn(`http://127.0.0.1:${first.port}`);
    const written = (): boolean =>
      machine.diskPart('vdb', mebibyte, 4096).equals(content(raw).subarray(0, 4096));
    await until(written, 'the first bytes of the image');
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    await until(() => /broken off at byte [1-9]/.test(machine.log), 'the loss');
    const second = await startService({ ...settings, port: first.port });
    assert.equal(await off, 0, machine.log);
    second.child.kill('SIGKILL');
    await once(second.child, 'exit');

    assert.ok(
      machine
        .disk('vdb')
        .subarray(mebibyte, raw.length - mebibyte)
        .equals(content(raw)),
    );
    const storage = await openStorage({
      type: 'sqlite',
      file: temp.file,
      key: temp.key,
      clock: new SystemClock(),
    });
    floor = await startBootFloor({ storage, folder: folder.folder });
    const progress = await floor.engine.progress('op-1:deploy');
    await storage.close();
    assert.equal(progress?.state, 'done', JSON.stringify(progress));
    assert.equal(progress.evidence?.data?.['sha256'], createHash('sha256').update(stored).digest('hex'));
  });

  it('stop when the order is withdrawn in the middle of the image, and leave nothing that boots', async () => {
    const raw = gptImage(24 * mebibyte);
    await addImage(raw);
    slowly('4M');
    await floor.engine.begin(deployOrder('op-1:deploy'));
    await temp.storage.run((tx) => floor.boots.arm(tx, 'op-1:deploy'));
    const off = powerOn(floor.base);
    await until(async () => ((await floor.engine.progress('op-1:deploy'))?.percent ?? 0) > 0, 'the transfer');
    await floor.boots.withdraw('op-1:deploy');
    assert.equal(await off, 1);
    assert.match(machine.log, /the order is over/);
    assert.ok(
      machine
        .disk('vdb')
        .subarray(0, 4096)
        .every((byte) => byte === 0),
    );
  });

  it('tell an operator why a deploy failed, with the log of the machine', async () => {
    await addImage(gptImage());
    rmSync(machine.diskFile('vdb'));
    symlinkSync('/dev/full', machine.diskFile('vdb'));
    const failed = await phase(deployOrder('op-1:deploy'));
    assert.equal(failed.error?.code, 'deploy.agent-failed');
    assert.match(failed.error.said, /^write: .*vdb/);
    assert.match(JSON.stringify(failed.evidence?.data), /preparing vdb/);
  });

  it('fail an erase when a disk was pulled, and touch none', async () => {
    const pulled = { ...known[0]!, name: 'vdc', serial: 'S-vdc' };
    writeFileSync(path.join(machine.directory, 'dev', 'vdc'), '');
    const before = machine.disk('vda');
    const erased = await phase({
      ...order,
      id: 'op-1:erase',
      phase: 'erase',
      grade: 'full',
      disks: [...known, pulled],
    });
    assert.equal(erased.error?.code, 'deploy.disk-missing');
    assert.match(erased.error.said, /S-vdc/);
    assert.ok(machine.disk('vda').equals(before));
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
