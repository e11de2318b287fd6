import { execFileSync, spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { DiskFacts, PhaseOrder } from '../../plugin-api/index.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { startBootFloor, type BootFloor } from '../api/boot/boot-floor.ts';
import { mac1, mac2, machineId, machineOf } from '../operations/boot/boot-samples.ts';
import { tempStorage } from '../support/temp-storage.ts';
import { BenchSkipped, median, type Bench, type Figure } from './bench.ts';
import { processCpu } from './process-cpu.ts';

const mebibyte = 2 ** 20;
const imageBytes = Number(process.env['DEPLOY_MIB'] ?? 1024) * mebibyte;
const rounds = Number(process.env['DEPLOY_ROUNDS'] ?? 1);
const encodings = ['gzip', 'zstd'] as const;
/**
 * Of the emulated machine. With one, nothing of what the agent does besides is hidden behind the pipe. More need as many idle cores and
 * one for QEMU: else one emulated CPU spins for another that the host does not run, and the same step takes up to seven times as long.
 */
const cpus = process.env['DEPLOY_CPUS'] ?? '1';
/** QEMU's address of the host's loopback, in the network that needs no rights (slirp). */
const hostAddress = '10.0.2.2';
/** Milliseconds for one boot: emulation on a loaded machine is slow. */
const longest = 20 * 60_000;
const project = fileURLToPath(new URL('../..', import.meta.url));
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
const disk: DiskFacts = {
  name: 'vda',
  model: '',
  serial: 'BENCH1',
  bytes: imageBytes + 64 * mebibyte,
  rotational: false,
  removable: false,
  readOnly: false,
};

type Encoding = (typeof encodings)[number];
type Way = 'agent' | 'pipe';

/** Seconds from ramdisk-up to power-off, and what the machine took of this one's CPUs meanwhile. */
interface Run {
  readonly seconds: number;
  readonly cpu: number;
}

/**
 * The real boot service and the real ramdisk install an image, in QEMU without acceleration; and in the same ramdisk, with the
 * agent replaced, curl, decompressor and dd write the same bytes from the same service to the same disk. Needs no root.
 * Takes some five minutes on an idle machine, and is nothing to judge by on a busy one.
 */
export const deploySpeed: Bench = {
  name: 'deploy-speed',
  compares: `a deploy of ${imageBytes / mebibyte} MiB from ramdisk-up to power-off, and curl | decompressor | dd in the same ramdisk`,
  run,
};

async function run(): Promise<readonly Figure[]> {
  requirePrograms();
  const temp = await tempStorage();
  const folder = mkdtempSync(path.join(tmpdir(), 'csbm-deploy-'));
  let floor: BootFloor | null = null;
  try {
    const ramdisk = path.join(project, '.run/ramdisk-lab');
    execFileSync('make', ['-s', '-C', project, 'ramdisk'], {
      env: { ...env, PROFILE: 'lab', OUT: ramdisk },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    makeImages(folder);
    await temp.storage.run((tx) => tx.machines.insert(machineOf()));
    floor = await startBootFloor({ storage: temp.storage, folder, publicHost: hostAddress });
    const figures: Figure[] = [];
    for (const encoding of encodings) {
      const stored = path.join(folder, `raw.${encoding}`);
      const image = { name: encoding, canBond: true, firstBoot: 'nocloud', aliases: [] } as const;
      await floor.images.add(image, createReadStream(stored));
      makePipeRamdisk(folder, ramdisk, encoding);
      const place: Place = { floor, storage: temp.storage, folder, ramdisk };
      const runs: Record<Way, Run>[] = [];
      for (let round = 0; round < rounds; round += 1) runs.push(await oneRound(place, encoding, round));
      figures.push(
        ...figuresOf(`${encoding}, ${Math.round(statSync(stored).size / mebibyte)} MiB stored`, runs),
      );
    }
    return figures;
  } finally {
    await floor?.close();
    await temp.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly floor: BootFloor;
  readonly storage: SqlStorage;
  readonly folder: string;
  readonly ramdisk: string;
}

/** Each has its turn, in changing order. */
async function oneRound(place: Place, encoding: Encoding, round: number): Promise<Record<Way, Run>> {
  const order = round % 2 === 0 ? (['pipe', 'agent'] as const) : (['agent', 'pipe'] as const);
  const done: Partial<Record<Way, Run>> = {};
  for (const way of order)
    done[way] = await deploy(place, `op-${encoding}-${round}-${way}:deploy`, encoding, way);
  return done as Record<Way, Run>;
}

function figuresOf(what: string, runs: readonly Record<Way, Run>[]): readonly Figure[] {
  const row = (key: keyof Run, name: string, target: Figure['target']): Figure => ({
    what: `${what}: ${name}`,
    ours: `${median(runs.map(({ agent }) => agent[key])).toFixed(1)} s`,
    reference: `${median(runs.map(({ pipe }) => pipe[key])).toFixed(1)} s`,
    ratio: median(runs.map(({ agent, pipe }) => agent[key] / pipe[key])),
    target,
  });
  return [row('seconds', 'time', { atMost: 1.5 }), row('cpu', 'CPU of the machine', null)];
}

/** A whole-disk image with a GPT: of each 8 KiB one half is noise, the other one line again and again. */
function makeImages(folder: string): void {
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  const zeroes = Buffer.alloc(mebibyte / 2);
  const line = Buffer.alloc(4096, 'half of this image is text that says the same all over\n');
  const block = Buffer.alloc(mebibyte);
  const raw = path.join(folder, 'raw');
  const file = openSync(raw, 'w');
  for (let from = 0; from < imageBytes; from += mebibyte) {
    const random = noise.update(zeroes);
    for (let part = 0; part < mebibyte / 8192; part += 1) {
      random.copy(block, part * 8192, part * 4096, (part + 1) * 4096);
      line.copy(block, part * 8192 + 4096);
    }
    writeSync(file, block);
  }
  closeSync(file);
  execFileSync('sgdisk', ['-o', '-n', '1:2048:0', '-t', '1:8300', raw], { env, stdio: 'ignore' });
  for (const encoding of encodings)
    execFileSync('/bin/sh', ['-c', `${encoding} -c <raw >raw.${encoding}`], { cwd: folder });
}

/** The ramdisk with a plain pipe in the place of the agent: all before it, and the power-off after it, is the same. */
function makePipeRamdisk(folder: string, ramdisk: string, encoding: Encoding): void {
  const tree = path.join(folder, `tree.${encoding}`);
  mkdirSync(path.join(tree, 'csbm'), { recursive: true });
  writeFileSync(
    path.join(tree, 'csbm/agent.sh'),
    `#!/bin/busybox sh
set -o pipefail
printf 'Authorization: Bearer %s\\n' "$CSBM_TOKEN" >/run/headers
echo 'bench: up'
curl -sS -f -H @/run/headers "$CSBM_URL/boot/v1/agent/image" | /sbin/${encoding} -dc |
  /sbin/dd of=/dev/vda bs=4M iflag=fullblock conv=fsync && echo 'bench: written'
`,
    { mode: 0o755 },
  );
  // What comes later in an initial ramdisk replaces what came before.
  const join = `{ zstd -dcq '${ramdisk}/initrd'; find csbm | cpio --quiet -o -H newc; } >'${folder}/initrd.${encoding}'`;
  execFileSync('/bin/sh', ['-ec', join], { cwd: tree });
}

async function deploy(place: Place, id: string, encoding: Encoding, way: Way): Promise<Run> {
  const { floor, storage, folder, ramdisk } = place;
  await floor.engine.begin(orderOf(id, encoding));
  await storage.run((tx) => floor.boots.arm(tx, id));
  const script = await (await fetch(`${floor.base}/boot/v1/script?mac=${mac1}&platform=pcbios`)).text();
  const kernelArguments = /^kernel \S+ initrd=initrd (.*?) \|\|/m.exec(script)?.[1];
  if (kernelArguments === undefined) throw new Error(`no boot decision for the bench:\n${script}`);
  const machine =
    way === 'agent'
      ? { initrd: `${ramdisk}/initrd`, up: 'for the order', done: 'the result was taken' }
      : { initrd: `${folder}/initrd.${encoding}`, up: 'bench: up', done: 'bench: written' };
  const took = await boot(place, { ...machine, kernelArguments: `${kernelArguments} quiet` });
  if (way === 'agent') {
    const progress = await floor.engine.progress(id);
    if (progress?.state !== 'done') throw new Error(`the deployment ended ${JSON.stringify(progress)}`);
  } else await floor.boots.withdraw(id);
  // The partition tables at both ends are the deployment's to change.
  execFileSync(
    'cmp',
    ['-i', String(mebibyte), '-n', String(imageBytes - 2 * mebibyte), `${folder}/raw`, `${folder}/disk`],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return took;
}

function orderOf(id: string, image: string): PhaseOrder {
  return {
    id,
    machineId,
    hostname: 'm1',
    macs: [mac1, mac2],
    phase: 'deploy',
    image,
    nicPlan: [],
    firstBoot: { instanceId: id, hostname: 'web1', sshKeys: [], userData: '#cloud-config\n{}\n' },
    rootDisk: { serial: disk.serial },
    disks: [disk],
  };
}

interface MachineBoot {
  readonly initrd: string;
  readonly kernelArguments: string;
  /** What the console shows when the ramdisk is up, and when the work is done. */
  readonly up: string;
  readonly done: string;
}

/** Runs the machine, with an empty disk, until it powers itself off. @throws Error with the end of its console when it did not do its work */
async function boot({ folder, ramdisk }: Place, machine: MachineBoot): Promise<Run> {
  const file = path.join(folder, 'disk');
  rmSync(file, { force: true });
  writeFileSync(file, '');
  truncateSync(file, disk.bytes);
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'qemu64', '-smp', cpus, '-m', '1024'],
      ...['-nodefaults', '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'],
      ...['-kernel', `${ramdisk}/vmlinuz`, '-initrd', machine.initrd, '-append', machine.kernelArguments],
      ...['-drive', `id=d0,if=none,file=${file},format=raw,discard=unmap,cache=writeback`],
      ...['-device', `virtio-blk-pci,drive=d0,serial=${disk.serial}`],
      ...['-netdev', 'user,id=n1', '-device', `virtio-net-pci,netdev=n1,mac=${mac1},romfile=`],
      ...['-device', 'virtio-rng-pci'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: longest, killSignal: 'SIGKILL' },
  );
  const kill = (): void => void qemu.kill('SIGKILL');
  process.once('exit', kill);
  const console: string[] = [];
  let began: { readonly at: number; readonly cpu: number } | null = null;
  let cpu = 0;
  // It cannot be asked any more once it has ended.
  const watch = setInterval(() => (cpu = cpuOf(qemu.pid!) ?? cpu), 100);
  qemu.stderr.on('data', (text: Buffer) => console.push(text.toString()));
  createInterface({ input: qemu.stdout }).on('line', (line) => {
    console.push(line);
    if (line.includes(machine.up)) began = { at: performance.now(), cpu: cpuOf(qemu.pid!) ?? 0 };
  });
  await once(qemu, 'close');
  const ended = performance.now();
  clearInterval(watch);
  process.off('exit', kill);
  const up = began as { readonly at: number; readonly cpu: number } | null;
  if (up === null || !console.some((line) => line.includes(machine.done)))
    throw new Error(`the machine did not do its work:\n${console.slice(-30).join('\n')}`);
  return { seconds: (ended - up.at) / 1_000, cpu: cpu - up.cpu };
}

function cpuOf(pid: number): number | null {
  try {
    return processCpu(pid);
  } catch {
    return null;
  }
}

function requirePrograms(): void {
  const missing = [
    ['qemu-system-x86_64', 'qemu-system-x86'],
    ['sgdisk', 'gdisk'],
    ['cpio', 'cpio'],
    ['zstd', 'zstd'],
    ['gzip', 'gzip'],
    ['cmp', 'diffutils'],
  ].filter(([program]) => {
    try {
      execFileSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', program!], { env, stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length > 0)
    throw new BenchSkipped(`apt-get install ${missing.map(([, name]) => name).join(' ')}`);
}
