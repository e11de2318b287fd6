import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseMac } from '../../../plugin-api/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import {
  faster,
  LabMachine,
  lifelike,
  makeLabImage,
  type LabMachineOptions,
} from '../../../lab/machine/index.ts';
import { Fabric } from '../../../lab/network/index.ts';
import { BootServer, LabRouter } from '../../../lab/router/index.ts';
import { FakeSwitch, port } from '../network/fake-switch.ts';
import { TinyBootService, type TinyImage } from './tiny-boot-service.ts';
import { until } from './until.ts';

export const mebibyte = 1024 * 1024;
export const nics = [parseMac('52:54:0a:00:00:01'), parseMac('52:54:0a:01:00:01')] as const;
/** MACs that the cloud allotted. */
export const allotted = parseMac('06:00:00:00:02:00');
export const allottedSecond = parseMac('06:00:00:00:03:00');
export const provisioning = port(100);
export const redVlan = 200;
export const blueVlan = 300;
export const rootDisk = { name: 'vda', serial: 'S1', bytes: 8 * mebibyte };

export const fastTiming = { ...faster(lifelike, 500), bytesPerSecond: null };

/** Two switches, a machine with a NIC on each, the router, and a tiny boot service behind the first switch's uplink. */
export class Bench {
  readonly boot = new TinyBootService();
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'csbm-bench-'));
  readonly torA = new FakeSwitch('a', {
    up: port(1, 100, redVlan, blueVlan),
    trunk: port(1, 100, redVlan, blueVlan),
    p1: provisioning,
    p2: provisioning,
  });
  readonly torB = new FakeSwitch('b', {
    trunk: port(1, 100, redVlan, blueVlan),
    p1: provisioning,
    p2: provisioning,
  });
  readonly fabric = new Fabric(
    [this.torA, this.torB],
    [{ a: { switch: 'a', port: 'trunk' }, b: { switch: 'b', port: 'trunk' } }],
  );
  readonly router = new LabRouter({ switch: 'a', port: 'up' }, this.fabric, [
    { name: 'red', tenant: 'red', vlan: redVlan, prefix: '10.2.0' },
    { name: 'blue', tenant: 'blue', vlan: blueVlan, prefix: '10.3.0' },
  ]);
  readonly bootServer = new BootServer({ switch: 'a', port: 'up' }, 100, this.fabric);
  readonly machine: LabMachine;
  readonly #all: LabMachine[] = [];

  constructor(options: Partial<LabMachineOptions> = {}) {
    this.machine = this.addMachine('m1', nics, 'p1', options);
  }

  addMachine(
    name: string,
    macs: readonly (typeof nics)[number][],
    portName: string,
    options: Partial<LabMachineOptions> = {},
  ): LabMachine {
    const machine = new LabMachine(
      {
        name,
        uuid: '4c4c4544-0000-4000-8000-000000000001',
        serial: 'SN 1/x',
        firmware: 'legacy',
        nics: macs.map((mac, n) => ({
          name: `eth${n}`,
          mac,
          place: { switch: n === 0 ? 'a' : 'b', port: portName },
        })),
        disks: [rootDisk],
        directory: path.join(this.directory, name),
        timing: fastTiming,
        ...options,
      },
      this.fabric,
      new SystemClock(),
    );
    this.#all.push(machine);
    return machine;
  }

  async start(): Promise<void> {
    await this.boot.start();
    this.bootServer.setAddress(this.boot.address);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((machine) => machine.close()));
    this.fabric.close();
    await this.boot.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  on(device: 'none' | 'pxe' | 'disk' = 'pxe', machine = this.machine): void {
    machine.control('on', { device, efi: false });
  }

  async off(machine = this.machine): Promise<void> {
    machine.control('off', { device: 'none', efi: false });
    await until('off', () => machine.power() === 'off');
  }

  phase(phase: LabMachine['phase'], machine = this.machine): Promise<void> {
    return until(`${machine.name} in phase ${phase}`, () => machine.phase === phase).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; phase ${machine.phase}; console:\n${machine.console.join('\n')}`);
      },
    );
  }

  /** Runs one order from power on to power off and gives back its result. */
  async runOrder(): Promise<Record<string, unknown>> {
    const before = this.boot.results.length;
    this.on('pxe');
    await until('power on', () => this.machine.power() === 'on');
    await this.phase('off');
    const result = this.boot.results[before];
    if (!result) throw new Error(`no result; console:\n${this.machine.console.join('\n')}`);
    return result;
  }

  /** Installs an image with first-boot data. */
  async install(
    networkConfig: string | null,
    image: TinyImage = smallImage(),
    instanceId = 'i-1',
  ): Promise<void> {
    const files = networkConfig === null ? null : seed(networkConfig, instanceId);
    this.boot.giveImage(image, rootDisk, files);
    const result = await this.runOrder();
    if (result['ok'] !== true) throw new Error(JSON.stringify(result));
  }

  setPorts(membership: {
    readonly native: number | null;
    readonly tagged: readonly number[];
    readonly up: boolean;
  }): void {
    this.torA.set('p1', membership);
    this.torB.set('p1', membership);
  }

  diskBytes(machine = this.machine): Buffer {
    return fs.readFileSync(machine.disks[0]!.file);
  }
}

export function smallImage(encoding: 'raw' | 'gzip' = 'raw', canBond = true, name = 'lab-linux'): TinyImage {
  const raw = makeLabImage({ name, canBond, bytes: mebibyte, seed: 7 });
  return { stored: encoding === 'gzip' ? gzipSync(raw) : raw, rawBytes: raw.length, encoding };
}

export function seed(networkConfig: string, instanceId = 'i-1'): Record<string, string> {
  return {
    'meta-data': `instance-id: "${instanceId}"\nlocal-hostname: "vm"\n`,
    'user-data': '#cloud-config\n{}\n',
    'network-config': networkConfig,
  };
}

export const bondConfig = `version: 2
ethernets:
  nic0: { match: { macaddress: "${nics[0]}" }, dhcp4: false }
  nic1: { match: { macaddress: "${nics[1]}" }, dhcp4: false }
bonds:
  bond0:
    interfaces: [nic0, nic1]
    macaddress: "${allotted}"
    dhcp4: true
    parameters: { mode: active-backup }
vlans:
  bond0.300: { id: 300, link: bond0, macaddress: "${allottedSecond}", dhcp4: true }
`;

export const nicConfig = `version: 2
ethernets:
  eth0: { match: { macaddress: "${nics[0]}" }, macaddress: "${allotted}", dhcp4: true }
`;

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
