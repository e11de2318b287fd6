import type { CleanDisks, Machine, Quarantine } from '../../core/machine/machine.ts';
import type { Pool } from '../../core/machine/pool.ts';
import type { MachineProfile } from '../../core/machine/profile.ts';
import {
  bigint,
  flag,
  foreignKey,
  index,
  int,
  json,
  key,
  nullable,
  renamed,
  string,
  table,
  text,
  unique,
} from './columns.ts';

export interface MachineRow {
  id: string;
  hostname: string;
  state: Machine['state'];
  site: string;
  pool: string;
  engine: string;
  wiring: Machine['wiring'];
  /** Null = the machine has no BMC record, and every other `bmc` column is null too. */
  bmcDriver: string | null;
  bmcHost: string | null;
  bmcPort: number | null;
  bmcUsername: string | null;
  /** Sealed. */
  bmcPassword: string | null;
  /** Sealed. */
  bmcKg: string | null;
  bmcPrivilege: 'operator' | 'administrator' | null;
  bmcMinSuite: 3 | 17 | null;
  bmcKnownSuite: 3 | 17 | null;
  firmware: Machine['firmware'];
  architecture: string;
  cpus: number;
  memoryBytes: number;
  serial: string;
  product: string;
  rootDiskSerial: string | null;
  /** Null = in no CloudStack, and zone, pod, cluster, guid, host id and tag are null too. */
  cloud: string | null;
  zone: string | null;
  pod: string | null;
  cluster: string | null;
  guid: string | null;
  hostId: string | null;
  hostTag: string | null;
  clean: CleanDisks | null;
  quarantine: Quarantine | null;
  powerState: 'on' | 'off' | null;
  powerAt: number | null;
  createdAt: number;
  version: number;
}

export interface InterfaceRow {
  mac: string;
  machineId: string;
  /** Order within the machine, from 0. */
  position: number;
  name: string;
  linkUp: boolean;
  speedMbps: number | null;
  neighbour: string | null;
}

export interface DiskRow {
  machineId: string;
  /** Order within the machine, from 0: serials of cheap disks are not unique. */
  position: number;
  name: string;
  model: string;
  serial: string;
  bytes: number;
  rotational: boolean;
  removable: boolean;
  readOnly: boolean;
}

/** What is said about a machine: one row, whose body is read and written as a whole. */
export interface ProfileRow {
  machineId: string;
  body: Omit<MachineProfile, 'machineId' | 'version'>;
  version: number;
}

export interface PoolRow {
  name: string;
  id: number;
  description: string;
  doors: Pool['doors'];
  trusted: boolean;
  version: number;
}

export const machineSchema = table<MachineRow>({
  name: 'machine',
  columns: {
    id: key(string(36)),
    hostname: string(255),
    state: string(16),
    site: string(64),
    pool: string(64),
    engine: string(32),
    wiring: string(16),
    bmcDriver: nullable(renamed('bmc_driver', string(32))),
    bmcHost: nullable(renamed('bmc_host', string(255))),
    bmcPort: nullable(renamed('bmc_port', int())),
    bmcUsername: nullable(renamed('bmc_username', string(128))),
    bmcPassword: nullable(renamed('bmc_password', text())),
    bmcKg: nullable(renamed('bmc_kg', text())),
    bmcPrivilege: nullable(renamed('bmc_privilege', string(16))),
    bmcMinSuite: nullable(renamed('bmc_min_suite', int())),
    bmcKnownSuite: nullable(renamed('bmc_known_suite', int())),
    firmware: string(16),
    architecture: string(32),
    cpus: int(),
    memoryBytes: renamed('memory_bytes', bigint()),
    serial: string(128),
    product: string(255),
    rootDiskSerial: nullable(renamed('root_disk_serial', string(128))),
    cloud: nullable(string(64)),
    zone: nullable(string(128)),
    pod: nullable(string(128)),
    cluster: nullable(string(128)),
    guid: nullable(string(255)),
    hostId: nullable(renamed('host_id', string(32))),
    hostTag: nullable(renamed('host_tag', string(255))),
    clean: nullable(json()),
    quarantine: nullable(json()),
    powerState: nullable(renamed('power_state', string(8))),
    powerAt: nullable(renamed('power_at', bigint())),
    createdAt: renamed('created_at', bigint()),
    version: int(),
  },
  indices: [
    unique('ux_machine_hostname', 'hostname'),
    unique('ux_machine_bmc', 'bmcHost', 'bmcPort'),
    unique('ux_machine_guid', 'cloud', 'guid'),
    index('ix_machine_site', 'site'),
    index('ix_machine_cluster', 'cloud', 'zone', 'pod', 'cluster'),
  ],
  foreignKeys: [
    foreignKey('fk_machine_site', ['site'], 'site', ['name'], 'RESTRICT'),
    foreignKey(
      'fk_machine_cluster',
      ['cloud', 'zone', 'pod', 'cluster'],
      'cluster',
      ['cloud', 'zone', 'pod', 'name'],
      'RESTRICT',
    ),
  ],
});

/** The MAC is the key: no two machines may have the same. */
export const interfaceSchema = table<InterfaceRow>({
  name: 'interface',
  columns: {
    mac: key(string(17)),
    machineId: renamed('machine_id', string(36)),
    position: int(),
    name: string(64),
    linkUp: renamed('link_up', flag()),
    speedMbps: nullable(renamed('speed_mbps', int())),
    neighbour: nullable(string(255)),
  },
  indices: [unique('ux_interface_machine', 'machineId', 'position')],
  foreignKeys: [foreignKey('fk_interface_machine', ['machineId'], 'machine', ['id'], 'CASCADE')],
});

export const diskSchema = table<DiskRow>({
  name: 'disk',
  columns: {
    machineId: key(renamed('machine_id', string(36))),
    position: key(int()),
    name: string(64),
    model: string(255),
    serial: string(128),
    bytes: bigint(),
    rotational: flag(),
    removable: flag(),
    readOnly: renamed('read_only', flag()),
  },
  foreignKeys: [foreignKey('fk_disk_machine', ['machineId'], 'machine', ['id'], 'CASCADE')],
});

export const profileSchema = table<ProfileRow>({
  name: 'machine_profile',
  columns: { machineId: key(renamed('machine_id', string(36))), body: json(), version: int() },
  foreignKeys: [foreignKey('fk_machine_profile_machine', ['machineId'], 'machine', ['id'], 'CASCADE')],
});

/** No foreign key from the machine: it may be in a pool that nobody has described. */
export const poolSchema = table<PoolRow>({
  name: 'pool',
  columns: {
    name: key(string(64)),
    id: int(),
    description: string(255),
    doors: json(),
    trusted: flag(),
    version: int(),
  },
  indices: [unique('ux_pool_id', 'id')],
});
