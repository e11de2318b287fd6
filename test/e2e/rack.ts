import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import path from 'node:path';

interface PortRow {
  readonly data: readonly [
    readonly [['set', readonly number[]] | number, ['set', readonly number[]] | number],
  ];
}

/** A port of Open vSwitch, as it is: the native VLAN and the tagged ones. */
export interface OvsPort {
  readonly native: number | null;
  readonly tagged: readonly number[];
}

/** What rack.sh built, looked at from outside csbm: switch, disk, BMC, virtual router and the frames that were heard. */
export class Rack {
  readonly directory: string;
  readonly #id: string;

  constructor(directory: string, id: string) {
    this.directory = directory;
    this.#id = id;
  }

  at(...parts: readonly string[]): string {
    return path.join(this.directory, ...parts);
  }

  port(name: string): OvsPort {
    const said = run(
      'ovs-vsctl',
      `--db=unix:${this.at('ovs/db.sock')}`,
      '--timeout=20',
      '--format=json',
      '--columns=tag,trunks',
      'list',
      'port',
      name,
    );
    const [tag, trunks] = (JSON.parse(said) as PortRow).data[0].map((value) =>
      Array.isArray(value) ? value[1] : [value],
    ) as [readonly number[], readonly number[]];
    // The native VLAN is among the trunks where a port has any.
    return {
      native: tag[0] ?? null,
      tagged: trunks.filter((vlan) => vlan !== tag[0]).toSorted((a, b) => a - b),
    };
  }

  get powered(): boolean {
    try {
      process.kill(Number(readFileSync(this.at('machine.pid'), 'utf8')), 0);
      return true;
    } catch {
      return false;
    }
  }

  /** What the BMC was told to boot from, at each power-on so far. */
  get powerOns(): readonly string[] {
    return linesOf(this.at('machine.starts'));
  }

  /** Commands that the BMC was given, oldest first: `set power 1`, `set boot pxe`, ... */
  get bmcCommands(): readonly string[] {
    return linesOf(this.at('machine.log')).flatMap((line) => / (set .*)$/.exec(line)?.[1] ?? []);
  }

  /** What the machine showed on its serial port, in all its lives. */
  get console(): string {
    const files = readdirSync(this.directory).filter((name) => name.startsWith('machine.serial.'));
    return files
      .toSorted()
      .map((name) => readFileSync(this.at(name), 'latin1'))
      .join('');
  }

  /** Bytes of the machine's disk that were ever written and not discarded since. */
  get diskUsed(): number {
    const disk = this.at('machine.disk');
    return existsSync(disk) ? statSync(disk).blocks * 512 : 0;
  }

  /** Signatures on the disk and its partitions, as wipefs finds them. */
  get diskSignatures(): string {
    return run('wipefs', '--no-act', '--noheadings', this.at('machine.disk'));
  }

  /** The first (or last) bytes of the disk. */
  diskEnd(end: 'first' | 'last', bytes: number): Buffer {
    const name = this.at('machine.disk');
    const file = openSync(name, 'r');
    try {
      const read = Buffer.alloc(bytes);
      readSync(file, read, 0, bytes, end === 'first' ? 0 : statSync(name).size - bytes);
      return read;
    } finally {
      closeSync(file);
    }
  }

  /** The virtual router's lease for a MAC: time, MAC, address, name, client id. */
  lease(mac: string): string | undefined {
    return linesOf(this.at('vr/leases')).find((line) => line.includes(mac));
  }

  /** How often the virtual router confirmed a lease of that MAC. */
  acknowledged(mac: string): number {
    return linesOf(this.at('vr/log')).filter((line) => line.includes('DHCPACK') && line.includes(mac)).length;
  }

  /** The answer of a web server in the tenant's network to the virtual router; empty = none. */
  page(url: string): string {
    return this.#inRouter('curl', '-sf', '-m', '5', url);
  }

  pings(address: string): boolean {
    return this.#inRouter('busybox', 'ping', '-c1', '-W1', address).includes('1 packets received');
  }

  /** Whether an interface heard a frame that the filter of tcpdump takes, since the rack is up. */
  heard(networkInterface: string, filter: string): boolean {
    return run('tcpdump', '-n', '-c', '1', '-r', this.at(`${networkInterface}.pcap`), filter) !== '';
  }

  #inRouter(...command: readonly string[]): string {
    try {
      return run('ip', 'netns', 'exec', `${this.#id}-vr`, ...command);
    } catch {
      return '';
    }
  }
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  }).trim();
}

function linesOf(file: string): readonly string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
