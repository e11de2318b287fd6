import { isDeepStrictEqual } from 'node:util';
import { Secret, type Mac } from '../../../plugin-api/index.ts';
import type { BmcRecord, CloudPlace, Machine, MachineId, ShownMachine } from '../../core/machine/machine.ts';
import type { MachinePlace } from '../../core/access/scope.ts';
import type { MachineFilter, MachineStore } from '../../core/storage/storage.ts';
import type { DiskRow, InterfaceRow, MachineRow } from '../schema/machine.ts';
import type { Sealer } from '../secrets/sealer.ts';
import type { Session } from '../session.ts';
import type { Where } from '../table.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';
import { inSteps } from './in-steps.ts';

interface Stored extends Pick<Machine, 'id' | 'version' | 'site' | 'cloudPlace' | 'disks' | 'bmc'> {
  readonly tables: Tables;
}

/**
 * The rows that a machine was read from, by its NICs (everything of a machine is read-only): most updates change a state or a
 * reading, and one that still carries the other parts as they were read need not look for them, seal and write them again. The
 * version condition makes sure that these are the parts in the rows.
 */
const asStored = new WeakMap<Machine['nics'], Stored>();

export class SqlMachineStore implements MachineStore {
  readonly #tables: Tables;
  readonly #session: Session;
  readonly #sealer: Sealer;
  /** What this unit of work has read or written of a machine: nobody else's change shows in it before its end. */
  readonly #known = new Map<MachineId, Machine>();

  constructor(tables: Tables, session: Session, sealer: Sealer) {
    this.#tables = tables;
    this.#session = session;
    this.#sealer = sealer;
  }

  async find(id: MachineId): Promise<Machine | null> {
    return this.#known.get(id) ?? this.#findOne({ id });
  }

  findByHostname(hostname: string): Promise<Machine | null> {
    return this.#findOne({ hostname });
  }

  async findByMac(mac: Mac): Promise<Machine | null> {
    const nic = await this.#tables.interface.find(this.#session, { mac });
    return nic && this.#findOne({ id: nic.machineId });
  }

  findByBmc(host: string, port: number): Promise<Machine | null> {
    return this.#findOne({ bmcHost: host, bmcPort: port });
  }

  async isWithheld(id: MachineId): Promise<boolean | null> {
    const row = await this.#tables.machine.find(this.#session, { id });
    return row && row.quarantine !== null;
  }

  /** Three queries whatever their number: machines, interfaces, disks. */
  async list(): Promise<readonly Machine[]> {
    const rows = await this.#tables.machine.select(this.#session, {}, { order: { hostname: 'ASC' } });
    const order = { machineId: 'ASC', position: 'ASC' } as const;
    const nics = byMachine(await this.#tables.interface.select(this.#session, {}, { order }));
    const disks = byMachine(await this.#tables.disk.select(this.#session, {}, { order }));
    return rows.map((row) => this.#toMachine(row, nics.get(row.id) ?? [], disks.get(row.id) ?? []));
  }

  async page(
    after: string | null,
    limit: number,
    { pools, states, architectures }: MachineFilter = {},
  ): Promise<readonly ShownMachine[]> {
    const order = { hostname: 'ASC' } as const;
    const options = { order, limit, ...(after !== null && { after: { hostname: after } }) };
    const where: Where<MachineRow> = {
      ...(pools && { pool: inSteps(pools) }),
      ...(states && { state: inSteps(states) }),
      ...(architectures && { architecture: inSteps(architectures) }),
    };
    return this.#shown(await this.#tables.machine.select(this.#session, where, options));
  }

  async shown(ids: readonly MachineId[]): Promise<readonly ShownMachine[]> {
    const order = { hostname: 'ASC' } as const;
    return this.#shown(await this.#tables.machine.select(this.#session, { id: inSteps(ids) }, { order }));
  }

  async idsOfHostnames(hostnames: readonly string[]): Promise<readonly MachineId[]> {
    const rows = await this.#tables.machine.select(this.#session, { hostname: inSteps(hostnames) });
    return rows.map(({ id }) => id as MachineId);
  }

  async idsOfMacs(macs: readonly Mac[]): Promise<readonly MachineId[]> {
    const rows = await this.#tables.interface.select(this.#session, { mac: inSteps(macs) });
    return [...new Set(rows.map(({ machineId }) => machineId as MachineId))];
  }

  /** Opening a sealed password costs more than everything else about a machine. */
  async #shown(rows: readonly MachineRow[]): Promise<readonly ShownMachine[]> {
    const where = { machineId: inSteps(rows.map(({ id }) => id)) };
    const order = { machineId: 'ASC', position: 'ASC' } as const;
    const nics = byMachine(await this.#tables.interface.select(this.#session, where, { order }));
    const disks = byMachine(await this.#tables.disk.select(this.#session, where, { order }));
    return rows.map((row) => ({
      ...factsOf(row, nics.get(row.id) ?? [], disks.get(row.id) ?? []),
      bmc: bmcOf(row),
    }));
  }

  async places(): Promise<readonly (MachinePlace & { readonly id: MachineId })[]> {
    const rows = await this.#tables.machine.select(this.#session, {}, { order: { hostname: 'ASC' } });
    return rows.map(({ id, hostname, site, pool, cloud }) => ({
      id: id as MachineId,
      hostname,
      site,
      pool,
      cloudPlace: cloud === null ? null : { cloud },
    }));
  }

  async insert(machine: Machine): Promise<void> {
    await this.#ensurePlace(machine);
    await this.#tables.machine.insert(this.#session, [this.#toRow(machine)]);
    await this.#tables.interface.insert(this.#session, interfaceRows(machine));
    await this.#tables.disk.insert(this.#session, diskRows(machine));
  }

  async update(machine: Machine): Promise<Machine> {
    this.#known.delete(machine.id);
    const stored = await this.#update(machine);
    this.#known.set(machine.id, stored);
    return stored;
  }

  async #update(machine: Machine): Promise<Machine> {
    const { id, version } = machine;
    const known = asStored.get(machine.nics);
    const same = known?.tables === this.#tables && known.id === id && known.version === version;
    const as = same ? known : null;
    if (as?.site !== machine.site || as.cloudPlace !== machine.cloudPlace) await this.#ensurePlace(machine);
    const stored = { ...machine, version: version + 1 };
    const row = {
      ...stateColumns(stored),
      ...(as?.cloudPlace !== machine.cloudPlace && placeColumns(machine)),
      ...(as?.bmc !== machine.bmc && this.#bmcColumns(machine)),
    };
    expectOne(
      await this.#tables.machine.update(this.#session, row, { id, version }),
      `machine ${machine.hostname}`,
    );
    if (as?.disks === machine.disks && as.bmc === machine.bmc) {
      const { site, cloudPlace } = machine;
      asStored.set(machine.nics, { ...as, site, cloudPlace, version: stored.version });
      return stored;
    }
    if (as === null) {
      const nics = interfaceRows(machine);
      if (!isDeepStrictEqual(await this.#interfacesOf(id), nics)) {
        await this.#tables.interface.delete(this.#session, { machineId: id });
        await this.#tables.interface.insert(this.#session, nics);
      }
    }
    if (as?.disks !== machine.disks) {
      const disks = diskRows(machine);
      if (!isDeepStrictEqual(await this.#disksOf(id), disks)) {
        await this.#tables.disk.delete(this.#session, { machineId: id });
        await this.#tables.disk.insert(this.#session, disks);
      }
    }
    return stored;
  }

  async delete(id: MachineId, version: number): Promise<void> {
    expectOne(await this.#tables.machine.delete(this.#session, { id, version }), `machine ${id}`);
    this.#known.delete(id);
  }

  async #findOne(where: Where<MachineRow>): Promise<Machine | null> {
    const row = await this.#tables.machine.find(this.#session, where);
    if (!row) return null;
    const machine = this.#toMachine(row, await this.#interfacesOf(row.id), await this.#disksOf(row.id));
    this.#known.set(machine.id, machine);
    return machine;
  }

  #interfacesOf(machineId: string): Promise<InterfaceRow[]> {
    return this.#tables.interface.select(this.#session, { machineId }, { order: { position: 'ASC' } });
  }

  #disksOf(machineId: string): Promise<DiskRow[]> {
    return this.#tables.disk.select(this.#session, { machineId }, { order: { position: 'ASC' } });
  }

  /** Sites and clusters are known by being named: a machine that stands in a new one brings it along. */
  async #ensurePlace({ site, cloudPlace }: Machine): Promise<void> {
    const tables = this.#tables;
    if (!(await tables.site.find(this.#session, { name: site })))
      await tables.site.insertMissing(this.#session, { name: site });
    if (!cloudPlace) return;
    const { cloud, zone, pod, cluster } = cloudPlace;
    if (await tables.cluster.find(this.#session, { cloud, zone, pod, name: cluster })) return;
    await tables.cloud.insertMissing(this.#session, { name: cloud });
    await tables.zone.insertMissing(this.#session, { cloud, name: zone });
    await tables.pod.insertMissing(this.#session, { cloud, zone, name: pod });
    await tables.cluster.insertMissing(this.#session, { cloud, zone, pod, name: cluster });
  }

  #toRow(machine: Machine): MachineRow {
    return {
      id: machine.id,
      createdAt: machine.createdAt,
      ...stateColumns(machine),
      ...placeColumns(machine),
      ...this.#bmcColumns(machine),
    };
  }

  #bmcColumns({ id, bmc }: Machine): Pick<MachineRow, BmcColumn> {
    return {
      bmcDriver: bmc?.driver ?? null,
      bmcHost: bmc?.host ?? null,
      bmcPort: bmc?.port ?? null,
      bmcUsername: bmc?.username ?? null,
      bmcPassword: bmc && this.#sealer.seal(bmc.password.reveal(), placeOf(id, 'bmc_password')),
      bmcKg: bmc?.kg ? this.#sealer.seal(bmc.kg.reveal(), placeOf(id, 'bmc_kg')) : null,
      bmcPrivilege: bmc?.privilege ?? null,
      bmcMinSuite: bmc?.minSuite ?? null,
      bmcKnownSuite: bmc?.knownSuite ?? null,
    };
  }

  #toMachine(row: MachineRow, nics: readonly InterfaceRow[], disks: readonly DiskRow[]): Machine {
    const machine = { ...factsOf(row, nics, disks), bmc: this.#toBmc(row) };
    const { id, version, site, cloudPlace, bmc } = machine;
    asStored.set(machine.nics, {
      tables: this.#tables,
      id,
      version,
      site,
      cloudPlace,
      disks: machine.disks,
      bmc,
    });
    return machine;
  }

  #toBmc(row: MachineRow): BmcRecord | null {
    const shown = bmcOf(row);
    return (
      shown && {
        ...shown,
        password: new Secret(this.#sealer.open(row.bmcPassword!, placeOf(row.id, 'bmc_password'))),
        kg: row.bmcKg === null ? null : new Secret(this.#sealer.open(row.bmcKg, placeOf(row.id, 'bmc_kg'))),
      }
    );
  }
}

type BmcColumn = keyof MachineRow & `bmc${string}`;
type PlaceColumn = 'cloud' | 'zone' | 'pod' | 'cluster' | 'guid' | 'hostId' | 'hostTag';

function placeColumns({ cloudPlace: place }: Machine): Pick<MachineRow, PlaceColumn> {
  return {
    cloud: place?.cloud ?? null,
    zone: place?.zone ?? null,
    pod: place?.pod ?? null,
    cluster: place?.cluster ?? null,
    guid: place?.guid ?? null,
    hostId: place?.hostId ?? null,
    hostTag: place?.hostTag ?? null,
  };
}

function stateColumns(machine: Machine): Omit<MachineRow, 'id' | 'createdAt' | BmcColumn | PlaceColumn> {
  const { power } = machine;
  return {
    hostname: machine.hostname,
    state: machine.state,
    site: machine.site,
    pool: machine.pool,
    engine: machine.engine,
    wiring: machine.wiring,
    firmware: machine.firmware,
    architecture: machine.architecture,
    cpus: machine.cpus,
    memoryBytes: machine.memoryBytes,
    serial: machine.serial,
    product: machine.product,
    rootDiskSerial: machine.rootDiskSerial,
    clean: machine.clean,
    quarantine: machine.quarantine,
    powerState: power?.state ?? null,
    powerAt: power?.at ?? null,
    version: machine.version,
  };
}

function factsOf(
  row: MachineRow,
  nics: readonly InterfaceRow[],
  disks: readonly DiskRow[],
): Omit<Machine, 'bmc'> {
  return {
    id: row.id as MachineId,
    hostname: row.hostname,
    state: row.state,
    site: row.site,
    pool: row.pool,
    engine: row.engine,
    wiring: row.wiring,
    firmware: row.firmware,
    architecture: row.architecture,
    cpus: row.cpus,
    memoryBytes: row.memoryBytes,
    serial: row.serial,
    product: row.product,
    nics: nics.map(({ name, mac, linkUp, speedMbps, neighbour }) => ({
      name,
      mac: mac as Mac,
      linkUp,
      speedMbps,
      neighbour,
    })),
    disks: disks.map(({ name, model, serial, bytes, rotational, removable, readOnly }) => ({
      name,
      model,
      serial,
      bytes,
      rotational,
      removable,
      readOnly,
    })),
    rootDiskSerial: row.rootDiskSerial,
    cloudPlace: toCloudPlace(row),
    clean: row.clean,
    quarantine: row.quarantine,
    power: row.powerState && { state: row.powerState, at: row.powerAt! },
    createdAt: row.createdAt,
    version: row.version,
  };
}

function bmcOf(row: MachineRow): ShownMachine['bmc'] {
  if (row.bmcDriver === null) return null;
  return {
    driver: row.bmcDriver,
    host: row.bmcHost!,
    port: row.bmcPort!,
    username: row.bmcUsername!,
    privilege: row.bmcPrivilege!,
    minSuite: row.bmcMinSuite!,
    knownSuite: row.bmcKnownSuite,
  };
}

function toCloudPlace(row: MachineRow): CloudPlace | null {
  if (row.cloud === null) return null;
  return {
    cloud: row.cloud,
    zone: row.zone!,
    pod: row.pod!,
    cluster: row.cluster!,
    guid: row.guid!,
    hostId: row.hostId,
    hostTag: row.hostTag,
  };
}

function interfaceRows(machine: Machine): InterfaceRow[] {
  return machine.nics.map(({ mac, name, linkUp, speedMbps, neighbour }, position) => ({
    mac,
    machineId: machine.id,
    position,
    name,
    linkUp,
    speedMbps,
    neighbour,
  }));
}

function diskRows(machine: Machine): DiskRow[] {
  return machine.disks.map(({ name, model, serial, bytes, rotational, removable, readOnly }, position) => ({
    machineId: machine.id,
    position,
    name,
    model,
    serial,
    bytes,
    rotational,
    removable,
    readOnly,
  }));
}

function byMachine<Row extends { readonly machineId: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const list = found.get(row.machineId);
    if (list) list.push(row);
    else found.set(row.machineId, [row]);
  }
  return found;
}

const placeOf = (id: string, field: string) => ({ table: 'machine', row: id, field });
