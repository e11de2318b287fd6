import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseMac, seconds, type Clock, type Mac } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { LabBmc, type LabBmcOptions } from '../bmc/lab-bmc.ts';
import { seededRandom } from '../bmc/seeded-random.ts';
import {
  faster,
  LabMachine,
  lifelike,
  randomBehaviour,
  type LabDiskOptions,
  type LabMachineOptions,
} from '../machine/index.ts';
import { Fabric, type FabricSwitch, type Link, type Place, type PortMembership } from '../network/index.ts';
import { BootServer, LabRouter, type TenantNetwork } from '../router/index.ts';
import { LabSwitch, type LabSwitchOptions } from '../switch/index.ts';
import { floorRow, writeFloorTable, type FloorRow } from './floor-table.ts';
import { LawOracle, type Violation } from './law-oracle.ts';

export interface LabFloorOptions {
  /** Where all state lives: disks, rack config. Made when absent, left behind by {@link LabFloor.stop}. */
  readonly directory: string;
  /** Default 2. */
  readonly switches?: number;
  /** Default 4. */
  readonly machines?: number;
  /** Default 2: NIC n is cabled to switch n. */
  readonly nicsPerMachine?: number;
  /** Numbers of the first machine and of the first switch: one floor of several that one service knows; default 1. */
  readonly firstMachine?: number;
  readonly firstSwitch?: number;
  /** Tenant networks of the virtual router; default two tenants, VLANs 200 and 300. */
  readonly networks?: readonly TenantNetwork[];
  /** Where machines boot: an explicit VLAN (default 100), or the switches' default VLAN. */
  readonly provisioning?: { readonly vlan: number } | 'default-vlan';
  /** Where unused ports wait, for the rack config; default `shut`. */
  readonly park?: { readonly vlan: number } | 'shut';
  /** The switches' default VLAN; default 1, null = `default-vlan disable`. */
  readonly defaultVlan?: number | null;
  readonly bootService?: { readonly host: string; readonly port: number };
  /** How many times faster than life machines live; default 20. */
  readonly speed?: number;
  /** Of everything that is random; default 1. */
  readonly seed?: number;
  /** Disks of every machine; default one of 16 MiB, whose serial is that of the machine. */
  readonly disks?: (machine: string) => readonly LabDiskOptions[];
  readonly machine?: Partial<Pick<LabMachineOptions, 'firmware' | 'bootOrder' | 'pxeFailure' | 'timing'>>;
  readonly switch?: Partial<LabSwitchOptions>;
  readonly bmc?: Partial<Pick<LabBmcOptions, 'traits' | 'behaviours'>>;
  /** For switches and BMCs; default a random one. */
  readonly password?: string;
  readonly clock?: Clock;
}

/** A machine of the floor with the BMC that drives it. */
export interface FloorMachine {
  readonly machine: LabMachine;
  readonly bmc: LabBmc;
  readonly bmcAddress: { readonly host: string; readonly port: number };
}

const upstreamPort = 'fortyGigE 1/49';
const trunkPort = 'fortyGigE 1/50';
const username = 'admin';

/**
 * The whole simulated floor over real sockets on loopback: ToR switches with SSH, BMCs with RMCP+, machines with disks,
 * the virtual router and the boot service's network. Router and boot service stand behind the first switch's uplink; the
 * other switches reach them by the trunk between the ToRs only.
 */
export class LabFloor {
  readonly directory: string;
  readonly switches: readonly LabSwitch[];
  readonly machines: readonly FloorMachine[];
  readonly fabric: Fabric;
  readonly router: LabRouter;
  readonly bootServer: BootServer;
  readonly oracle: LawOracle;
  readonly username = username;
  /** A simulated password is no secret. */
  readonly password: string;
  readonly #provisioning: { readonly vlan: number } | 'default-vlan';
  readonly #park: { readonly vlan: number } | 'shut';

  static async start(options: LabFloorOptions): Promise<LabFloor> {
    const password = options.password ?? randomBytes(6).toString('hex');
    const switches: LabSwitch[] = [];
    const machines: FloorMachine[] = [];
    try {
      for (let n = 1; n <= (options.switches ?? 2); n++)
        switches.push(await LabSwitch.start(switchOptions(n, options, password)));
      const clock = options.clock ?? new SystemClock();
      const fabric = new Fabric(switches.map(seenByFabric), trunk(switches));
      for (let n = 1; n <= (options.machines ?? 4); n++) {
        const machine = new LabMachine(machineOptions(n, switches, options), fabric, clock);
        const bmc = new LabBmc({
          host: machine,
          clock,
          seed: (options.seed ?? 1) + n,
          ...options.bmc,
          // A BMC on a fast floor also forgets sessions faster.
          traits: {
            users: [{ name: username, password, level: 4 }],
            sessionTimeout: seconds(Math.max(10, 60 / (options.speed ?? 20))),
            ...options.bmc?.traits,
          },
        });
        const { address, port } = await bmc.listen();
        machines.push({ machine, bmc, bmcAddress: { host: address, port } });
      }
      return new LabFloor(options, password, switches, machines, fabric, clock);
    } catch (error) {
      await stopAll(machines, switches);
      throw error;
    }
  }

  private constructor(
    options: LabFloorOptions,
    password: string,
    switches: readonly LabSwitch[],
    machines: readonly FloorMachine[],
    fabric: Fabric,
    clock: Clock,
  ) {
    this.directory = options.directory;
    this.password = password;
    this.switches = switches;
    this.machines = machines;
    this.fabric = fabric;
    this.#provisioning = options.provisioning ?? { vlan: 100 };
    this.#park = options.park ?? 'shut';
    const upstream: Place = { switch: switches[0]!.name, port: upstreamPort };
    this.router = new LabRouter(upstream, fabric, options.networks ?? defaultNetworks);
    this.bootServer = new BootServer(
      upstream,
      this.#provisioning === 'default-vlan' ? null : this.#provisioning.vlan,
      fabric,
    );
    this.bootServer.setAddress(options.bootService ?? null);
    this.oracle = new LawOracle({
      fabric,
      machines: machines.map(({ machine }) => machine),
      router: this.router,
      clock,
      provisioning: () =>
        this.#provisioning === 'default-vlan'
          ? { vlan: switches[0]!.model.running.defaultVlan, isDefault: true }
          : {
              vlan: this.#provisioning.vlan,
              isDefault: this.#provisioning.vlan === switches[0]!.model.running.defaultVlan,
            },
    });
    fs.mkdirSync(options.directory, { recursive: true });
    fs.writeFileSync(this.rackConfigPath, this.rackConfig());
  }

  get rackConfigPath(): string {
    return path.join(this.directory, 'rack-config.json');
  }

  /** What broke a law so far; `oracle.events` tells of each as it happens. */
  get violations(): readonly Violation[] {
    return this.oracle.violations;
  }

  /** Tells the provisioning network where the boot service really listens; null = nowhere. */
  setBootService(address: { readonly host: string; readonly port: number } | null): void {
    this.bootServer.setAddress(address);
  }

  /** @throws Error when there is no machine of this name. */
  find(name: string): FloorMachine {
    const found = this.machines.find(({ machine }) => machine.name === name);
    if (!found) throw new Error(`the floor has no machine ${name}`);
    return found;
  }

  /** The rack JSON that describes this floor, for upload. */
  rackConfig(): string {
    const racks = this.switches.map((device, index) => ({
      l2Switch: {
        ip: device.host,
        tcpPort: device.port,
        name: device.name,
        username: this.username,
        password: this.password,
        type: 'Force10',
        transport: 'ssh',
        hostKey: device.hostKeySha256,
        uplinks: uplinksOf(index, this.switches.length),
      },
      hosts: this.machines.flatMap(({ machine }) =>
        machine.nics
          .filter((nic) => nic.place.switch === device.name)
          .map((nic) => ({
            mac: nic.mac,
            port: nic.place.port.replace('TenGigabitEthernet ', 'tengigabitethernet:'),
            server: machine.name,
          })),
      ),
    }));
    return `${JSON.stringify({ provisioning: this.#provisioning, park: this.#park, racks }, null, 2)}\n`;
  }

  /** The floor's own state, one row a machine: the oracle of every test. */
  table(): readonly FloorRow[] {
    return this.machines.map(({ machine, bmcAddress }) =>
      floorRow(machine, `${bmcAddress.host}:${bmcAddress.port}`, this.fabric, this.router),
    );
  }

  tableText(): string {
    return writeFloorTable(this.table());
  }

  /** Gives a random behaviour to about this share (0 to 1) of the machines; the same seed gives the same trouble. */
  misbehave(share: number, seed: number): void {
    const random = seededRandom(seed);
    for (const { machine } of this.machines) {
      if (random() >= share) continue;
      const nics = machine.nics.map((nic) => nic.label);
      machine.behaviours.add(
        randomBehaviour(
          random,
          nics,
          machine.disks.map((disk) => disk.name),
        ),
        1,
      );
    }
  }

  /** Stops every machine, BMC and switch. The directory stays. */
  async stop(): Promise<void> {
    this.oracle.close();
    await stopAll(this.machines, this.switches);
    this.router.close();
    this.bootServer.close();
    this.fabric.close();
  }
}

const defaultNetworks: readonly TenantNetwork[] = [
  { name: 'net-red', tenant: 'red', vlan: 200, prefix: '10.1.200' },
  { name: 'net-blue', tenant: 'blue', vlan: 300, prefix: '10.1.44' },
];

async function stopAll(machines: readonly FloorMachine[], switches: readonly LabSwitch[]): Promise<void> {
  await Promise.all(machines.flatMap(({ machine, bmc }) => [bmc.close(), machine.close()]));
  await Promise.all(switches.map((device) => device.stop()));
}

function uplinksOf(index: number, count: number): string[] {
  return [...(index === 0 ? [upstreamPort] : []), ...(count > 1 ? trunkPorts(index, count) : [])];
}

/** Switches stand in a row, each with a trunk to the next. */
function trunkPorts(index: number, count: number): string[] {
  return [...(index > 0 ? [trunkPort] : []), ...(index < count - 1 ? [nextPort(index)] : [])];
}

/** The first switch has one trunk; those in the middle of a longer row need a second port. */
function nextPort(index: number): string {
  return index === 0 ? trunkPort : 'fortyGigE 1/51';
}

function trunk(switches: readonly LabSwitch[]): Link[] {
  return switches.slice(1).map((device, index) => ({
    a: { switch: switches[index]!.name, port: nextPort(index) },
    b: { switch: device.name, port: trunkPort },
  }));
}

function switchOptions(n: number, options: LabFloorOptions, password: string): LabSwitchOptions {
  const provisioning = options.provisioning ?? { vlan: 100 };
  const park = options.park ?? 'shut';
  const vlans: Record<number, string> = {
    ...(provisioning === 'default-vlan' ? {} : { [provisioning.vlan]: 'provisioning' }),
    ...(park === 'shut' ? {} : { [park.vlan]: 'park' }),
  };
  return {
    name: `tor-${(options.firstSwitch ?? 1) + n - 1}`,
    ports: [
      `Te 1/1-1/${Math.max(8, portNumber(options.machines ?? 4, (options.nicsPerMachine ?? 2) - 1, options))}`,
    ],
    uplinks: uplinksOf(n - 1, options.switches ?? 2),
    ...(provisioning === 'default-vlan' ? {} : { uplinkVlans: [provisioning.vlan] }),
    username,
    password,
    vlans,
    ...(options.defaultVlan === undefined ? {} : { defaultVlan: options.defaultVlan }),
    ...(options.clock ? { clock: options.clock } : {}),
    ...options.switch,
  };
}

function machineOptions(
  n: number,
  switches: readonly LabSwitch[],
  options: LabFloorOptions,
): LabMachineOptions {
  const number = (options.firstMachine ?? 1) + n - 1;
  const name = `server-${number}`;
  const hex = number.toString(16).padStart(4, '0');
  const mac = (nic: number): Mac => parseMac(`52540a${nic.toString(16).padStart(2, '0')}${hex}`);
  return {
    name,
    uuid: `4c4c4544-0000-4000-8000-${number.toString(16).padStart(12, '0')}`,
    serial: `LAB${number.toString().padStart(5, '0')}`,
    firmware: 'legacy',
    nics: Array.from({ length: options.nicsPerMachine ?? 2 }, (_, nic) => ({
      name: `eth${nic}`,
      mac: mac(nic),
      place: {
        switch: switches[nic % switches.length]!.name,
        port: `TenGigabitEthernet 1/${portNumber(n, nic, options)}`,
      },
    })),
    disks: options.disks?.(name) ?? [{ name: 'vda', serial: `DISK-${name}`, bytes: 16 * 1024 * 1024 }],
    directory: path.join(options.directory, 'machines', name),
    timing: faster(lifelike, options.speed ?? 20),
    ...options.machine,
  };
}

/** Of NIC `nic` of machine `n`: NICs beyond the number of switches take a further block of ports. */
function portNumber(n: number, nic: number, options: LabFloorOptions): number {
  return n + Math.floor(nic / (options.switches ?? 2)) * (options.machines ?? 4);
}

/** The switch's own state, read again only after a change of it: floods look at every port. */
function seenByFabric(device: LabSwitch): FabricSwitch {
  const { model } = device;
  const read = new Map<string, PortMembership | null>();
  return {
    name: device.name,
    membership(port) {
      const known = read.get(port);
      if (known !== undefined) return known;
      const membership = model.port(port) ? model.effective(port) : null;
      read.set(port, membership);
      return membership;
    },
    onChange: (listener) =>
      model.onChange(() => {
        read.clear();
        listener();
      }),
  };
}
