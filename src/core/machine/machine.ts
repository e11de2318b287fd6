import type {
  DiskFacts,
  EraseGrade,
  Evidence,
  Mac,
  NicFacts,
  PowerState,
  Secret,
} from '../../../plugin-api/index.ts';

/** A machine's system id: 6 of a-z0-9. */
export type MachineId = string & { readonly __brand: 'MachineId' };

/** A machine's own small lifecycle; MAAS's status numbers are a projection of it in `api/maas`. */
export type MachineState =
  | 'new'
  | 'commissioning'
  | 'ready'
  | 'deploying'
  | 'deployed'
  | 'releasing'
  | 'erasing'
  | 'failed'
  | 'broken';

/** States in which an operation is changing the machine. */
export const inTransit: readonly MachineState[] = ['commissioning', 'deploying', 'releasing', 'erasing'];

/** Which state may follow which. `failed` = the last operation failed and was undone; `broken` = a person said so. */
export const machineTransitions: Readonly<Record<MachineState, readonly MachineState[]>> = {
  new: ['commissioning', 'ready', 'broken'],
  commissioning: ['ready', 'new', 'failed', 'broken'],
  ready: ['commissioning', 'deploying', 'releasing', 'erasing', 'broken'],
  deploying: ['deployed', 'ready', 'failed', 'releasing', 'broken'],
  deployed: ['releasing', 'failed', 'broken'],
  releasing: ['erasing', 'ready', 'failed', 'deployed', 'broken'],
  erasing: ['ready', 'failed', 'broken'],
  // `deployed`: a Destroy failed before the tenant was gone, and the instance was started again.
  failed: ['commissioning', 'erasing', 'releasing', 'ready', 'deployed', 'broken'],
  broken: ['commissioning', 'releasing', 'erasing', 'ready', 'failed'],
};

/** How to reach the BMC of a machine, and what was learned about it. */
export interface BmcRecord {
  readonly driver: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: Secret;
  readonly kg: Secret | null;
  readonly privilege: 'operator' | 'administrator';
  readonly minSuite: 3 | 17;
  /** Cipher suite found at the first contact; a later fall from 17 to 3 needs an operator. */
  readonly knownSuite: 3 | 17 | null;
}

/** Proof that nothing of an earlier tenant is on the machine's disks. */
export interface CleanDisks {
  readonly grade: EraseGrade;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly evidence: Evidence;
}

export interface Quarantine {
  readonly code: string;
  readonly reason: string;
  /** Fenced = its ports are admin-down because its power is unknown (law 4c). */
  readonly fenced: boolean;
  /** Epoch milliseconds. */
  readonly since: number;
}

/** Where a machine stands in a CloudStack. */
export interface CloudPlace {
  readonly cloud: string;
  readonly zone: string;
  readonly pod: string;
  readonly cluster: string;
  /** The host row's unique key at the management server. */
  readonly guid: string;
  /** Host id as ReadyCommand told it, decimal; null before. */
  readonly hostId: string | null;
  /** Matched by the planner with the offering's host tag; null for none. */
  readonly hostTag: string | null;
}

/** A physical server. */
export interface Machine {
  readonly id: MachineId;
  readonly hostname: string;
  readonly state: MachineState;
  readonly site: string;
  readonly pool: string;
  /** Deploy engine that installs it: `native`, `maas`. */
  readonly engine: string;
  readonly wiring: 'managed' | 'none';
  /** Absent only for machines that were merely seen on the provisioning network. */
  readonly bmc: BmcRecord | null;
  readonly firmware: 'legacy' | 'efi';
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly serial: string;
  readonly product: string;
  readonly nics: readonly NicFacts[];
  readonly disks: readonly DiskFacts[];
  /** Serial of the disk to install to, or null for the smallest that fits. */
  readonly rootDiskSerial: string | null;
  readonly cloudPlace: CloudPlace | null;
  readonly clean: CleanDisks | null;
  readonly quarantine: Quarantine | null;
  /** Last power state that a BMC told, and when (epoch milliseconds). */
  readonly power: { readonly state: PowerState; readonly at: number } | null;
  readonly createdAt: number;
  readonly version: number;
}

/** A machine for showing: without what opens its BMC, so that it can be read in large numbers and never be written back. */
export type ShownMachine = Omit<Machine, 'bmc'> & {
  readonly bmc: Omit<BmcRecord, 'password' | 'kg'> | null;
};

export function machineMacs(machine: Machine): readonly Mac[] {
  return machine.nics.map((nic) => nic.mac);
}
