import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  openSync,
  readSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { requirePeer } from '../../../support/peers.ts';

const agentDir = fileURLToPath(new URL('../../../../src/drivers/deploy/native/agent', import.meta.url));
const systemPath = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

/** Programs that need a real device; a test that uses one puts a stand-in there. */
const deviceOnly = ['nvme', 'hdparm', 'kmod', 'socat'];

export interface SandboxDisk {
  readonly name: string;
  readonly serial: string;
  readonly bytes: number;
  readonly model?: string;
  readonly readOnly?: boolean;
  readonly removable?: boolean;
  /** Bytes of a logical sector; default 512. */
  readonly sectorBytes?: number;
  /** Where /sys/block/NAME points to; default: a local bus. */
  readonly bus?: string;
}

export interface SandboxNic {
  readonly name: string;
  readonly mac: string;
  readonly linkUp?: boolean;
  readonly speed?: number;
}

/** The programs that the ramdisk has besides busybox. */
export function ramdiskPrograms(): readonly string[] {
  return readFileSync(path.join(agentDir, 'programs'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' ')[0]!);
}

/** Skips or fails the test unless everything is there that the agent needs in a sandbox. */
export function requireRamdiskPrograms(context: Mocha.Context): void {
  for (const program of ['busybox', ...ramdiskPrograms()])
    if (!deviceOnly.includes(program)) requirePeer(context, program);
}

/**
 * The ramdisk's agent as an ordinary process: the very scripts of the ramdisk, run by busybox with the ramdisk's programs
 * and no others, on a /sys tree and disks made of files.
 */
export class RamdiskSandbox {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'csbm-agent-'));
  readonly #children: ChildProcess[] = [];

  constructor(disks: readonly SandboxDisk[], nics: readonly SandboxNic[]) {
    for (const folder of ['tools', 'sys/block', 'sys/class/net', 'sys/class/dmi/id', 'proc', 'dev', 'run'])
      mkdirSync(this.#at(folder), { recursive: true });
    const busybox = which('busybox');
    const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
    const programs = ramdiskPrograms();
    for (const program of programs)
      if (!deviceOnly.includes(program)) symlinkSync(which(program), this.#at('tools', program));
    for (const applet of applets)
      if (!programs.includes(applet) && !applet.includes('/'))
        symlinkSync(busybox, this.#at('tools', applet));
    for (const disk of disks) this.addDisk(disk);
    nics.forEach((nic, index) => this.#addNic(nic, index));
    writeFileSync(this.#at('proc/cpuinfo'), 'processor\t: 0\nmodel name\t: x\nprocessor\t: 1\n');
    writeFileSync(this.#at('proc/meminfo'), 'MemTotal:        2097152 kB\nMemFree: 1 kB\n');
    writeFileSync(this.#at('sys/class/dmi/id/product_name'), 'PowerEdge X\n');
    writeFileSync(this.#at('sys/class/dmi/id/product_serial'), 'M 1\n');
  }

  addDisk(disk: SandboxDisk): void {
    const real = this.#at('sys/devices', disk.bus ?? 'pci0000:00/virtio1', 'block', disk.name);
    mkdirSync(path.join(real, 'queue'), { recursive: true });
    mkdirSync(path.join(real, 'device'), { recursive: true });
    symlinkSync(real, this.#at('sys/block', disk.name));
    const facts = {
      size: disk.bytes / 512,
      ro: disk.readOnly ? 1 : 0,
      removable: disk.removable ? 1 : 0,
      'queue/rotational': 0,
      'queue/logical_block_size': disk.sectorBytes ?? 512,
    };
    for (const [name, value] of Object.entries(facts)) writeFileSync(path.join(real, name), `${value}\n`);
    if (disk.name.startsWith('sd')) {
      const page = Buffer.concat([
        Buffer.from([0, 0x80, 0, disk.serial.length + 2]),
        Buffer.from(`  ${disk.serial}`),
      ]);
      writeFileSync(path.join(real, 'device/vpd_pg80'), page);
    } else {
      writeFileSync(path.join(real, 'serial'), `${disk.serial}   \n`);
    }
    if (disk.model !== undefined) writeFileSync(path.join(real, 'device/model'), `${disk.model}    \n`);
    writeFileSync(this.diskFile(disk.name), Buffer.alloc(disk.bytes, 0xab));
  }

  #addNic(nic: SandboxNic, index: number): void {
    const folder = this.#at('sys/class/net', nic.name);
    mkdirSync(path.join(folder, 'device'), { recursive: true });
    const facts = {
      address: nic.mac,
      type: 1,
      carrier: nic.linkUp === false ? 0 : 1,
      speed: nic.speed ?? -1,
    };
    for (const [name, value] of Object.entries(facts)) writeFileSync(path.join(folder, name), `${value}\n`);
    if (index > 0) return;
    // What is no hardware is no NIC of the machine.
    mkdirSync(this.#at('sys/class/net/lo'), { recursive: true });
    writeFileSync(this.#at('sys/class/net/lo/address'), '00:00:00:00:00:00\n');
  }

  /** Puts a program in the ramdisk's place, for what would need a device or has to misbehave. */
  fakeProgram(name: string, script: string): void {
    const file = this.#at('tools', name);
    rmSync(file, { force: true });
    writeFileSync(file, `#!${which('busybox')} sh\n${script}\n`);
    chmodSync(file, 0o755);
  }

  diskFile(name: string): string {
    return this.#at('dev', name);
  }

  disk(name: string): Buffer {
    return readFileSync(this.diskFile(name));
  }

  /** What can be read without reading the whole. */
  diskPart(name: string, from: number, bytes: number): Buffer {
    const file = openSync(this.diskFile(name), 'r');
    try {
      const part = Buffer.alloc(bytes);
      readSync(file, part, 0, bytes, from);
      return part;
    } finally {
      closeSync(file);
    }
  }

  runFile(name: string): string {
    return this.#at('run', name);
  }

  /** The first-boot files in the partition that begins at `offset`. */
  seedFile(disk: string, offset: number, name: string): string {
    return execFileSync(which('mtype'), ['-i', `${this.diskFile(disk)}@@${offset}`, `::${name}`], {
      encoding: 'utf8',
      env: { ...process.env, MTOOLSRC: '/dev/null' },
    });
  }

  get log(): string {
    return existsSync(this.runFile('agent.log')) ? readFileSync(this.runFile('agent.log'), 'utf8') : 'no log';
  }

  /** Runs the agent as init would; resolves with its exit code, after which init powers the machine off. */
  run(base: string, token: string, env: Readonly<Record<string, string>> = {}): Promise<number | null> {
    const child = spawn(which('busybox'), ['sh', path.join(agentDir, 'agent.sh')], {
      env: {
        PATH: this.#at('tools'),
        CSBM_URL: base,
        CSBM_TOKEN: token,
        CSBM_SYS: this.#at('sys'),
        CSBM_PROC: this.#at('proc'),
        CSBM_DEV: this.#at('dev'),
        CSBM_RUN: this.#at('run'),
        CSBM_BIN: this.#at('tools'),
        CSBM_SHELL: this.#at('tools/sh'),
        CSBM_RETRY_PAUSE: '0.05',
        CSBM_PROGRESS_EVERY: '0.1',
        ...env,
      },
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    this.#children.push(child);
    return once(child, 'exit').then(([code]) => code as number | null);
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      // On SIGTERM the agent ends its worker too.
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  #at(...parts: readonly string[]): string {
    return path.join(this.directory, ...parts);
  }
}

export function which(program: string): string {
  return execFileSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', program], {
    encoding: 'utf8',
    env: { ...process.env, PATH: systemPath },
  }).trim();
}
