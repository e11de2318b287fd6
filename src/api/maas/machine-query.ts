import { parseMac, type Mac } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Interface } from '../../core/network/interface.ts';
import type { MachineFilter, Tx } from '../../core/storage/storage.ts';
import type { Fields } from './fields.ts';
import { interfacesOf, type MachineSight } from './machine-sight.ts';
import { invalidField } from './maas-refusal.ts';
import { fabricOf, isOnFabric, isOnSubnet, isOnVlan } from './network-specifier.ts';
import { matchInterfaces, matchStorage } from './machine-constraints.ts';
import { architectureOf, memoryOf } from './shapes/machine.ts';
import {
  simpleStatuses,
  statesOf,
  statusNames,
  statusOf,
  type EraseTold,
  type StatusNumber,
} from './status.ts';
import type { Surroundings } from './surroundings.ts';

/** Which machines are asked for. */
export interface MachineQuery {
  /** Only these, found by index; null = any. */
  readonly ids: readonly MachineId[] | null;
  readonly hostnames: readonly string[] | null;
  readonly macs: readonly Mac[] | null;
  /** What storage can leave out by itself; `fits` decides. */
  readonly filter: MachineFilter;
  fits(sight: MachineSight): boolean;
}

type Test = (sight: MachineSight) => boolean;

/** The filters that `machines/` and `op=allocate` have in common, for `describe/`. */
export const commonFilters: Readonly<Record<string, string>> = {
  zone: 'Name of the zone; several may be given.',
  not_in_zone: 'Not in these zones.',
  pool: 'Name of the pool; several may be given.',
  not_in_pool: 'Not in these pools.',
  tags: 'Tags that it must have, all of them; separated by commas or blanks, or repeated.',
  not_tags: 'Tags that it must not have, any of them.',
  arch: 'Architecture: amd64, arm64, ...',
  cpu_count: 'At least so many CPUs.',
  cpu_speed: 'At least so many MHz.',
  mem: 'At least so much memory, in MiB.',
  fabrics: 'Fabrics that one of its interfaces must be on: name or number.',
  not_fabrics: 'Fabrics that none of its interfaces may be on.',
  fabric_classes: 'Classes of fabrics that one of its interfaces must be on.',
  not_fabric_classes: 'Classes of fabrics that none of its interfaces may be on.',
  vlans: 'VLANs that one of its interfaces must be on: number, vid:N or name.',
  not_vlans: 'VLANs that none of its interfaces may be on.',
  subnets: 'Subnets that one of its interfaces must be linked to: number, CIDR or name.',
  not_subnets: 'Subnets that none of its interfaces may be linked to.',
  link_speed: 'At least so fast an interface, in Mbit/s.',
  storage: 'Disks that it must have: label:GB(tag,tag),... The first is the one installed to.',
  interfaces: 'Interfaces that it must have: label:key=value,key=value;label:...',
  pod: 'Name of the VM host that it is in: no machine here is in one.',
  not_pod: 'Names of VM hosts that it is not in.',
  pod_type: 'Type of the VM host that it is in: no machine here is in one.',
  not_pod_type: 'Types of VM hosts that it is not in.',
  devices: 'PCI or USB devices that it must have: none are inventoried here.',
};

/** The filters of `machines/`. */
export const listFilters: Readonly<Record<string, string>> = {
  id: 'System id; several may be given.',
  not_id: 'Not these system ids.',
  hostname: 'Hostname; several may be given.',
  not_hostname: 'Not these hostnames.',
  mac_address: 'MAC address of an interface; several may be given.',
  domain: 'Name of the DNS domain; several may be given.',
  not_domain: 'Not in these DNS domains.',
  agent_name: 'Agent name that was given at the allocation.',
  not_agent_name: 'Not this agent name.',
  status: 'Status, by number or name; several may be given.',
  not_status: 'Not these statuses.',
  simple_status: 'Group of statuses: new, ready, allocated, deployed, failed, ...',
  not_simple_status: 'Not these groups of statuses.',
  owner: 'Name of the owner; several may be given.',
  not_owner: 'Not of these owners.',
  power_state: 'on, off, unknown or error; several may be given.',
  not_power_state: 'Not in these power states.',
  not_arch: 'Not of these architectures.',
  not_zone: 'Not in these zones.',
  not_pool: 'Not in these pools.',
  deployment_target: 'disk or memory: here every machine is deployed to its disk.',
  ...commonFilters,
};

/** Reads the filters of a request. @throws MaasRefusal 400 for names that are not there and values that are none */
export async function readMachineQuery(
  tx: Tx,
  fields: Fields,
  around: Surroundings,
  eraseTold: EraseTold,
): Promise<MachineQuery> {
  const tests: Test[] = await commonTests(tx, fields, around);
  const test = (name: string, make: (values: readonly string[]) => Test): void => {
    const values = said(fields, name);
    if (values) tests.push(make(values));
  };
  /** A condition with its opposite, which is called the same with `not_` before it. */
  const both = (name: string, make: (values: readonly string[]) => Test): void => {
    test(name, make);
    test(`not_${name}`, (values) => {
      const fits = make(values);
      return (sight) => !fits(sight);
    });
  };
  const oneOf =
    (of: (sight: MachineSight) => string) =>
    (values: readonly string[]): Test => {
      // There may be as many as there are machines.
      const wanted = new Set(values);
      return (sight) => wanted.has(of(sight));
    };
  both(
    'id',
    oneOf(({ machine }) => machine.id),
  );
  both('hostname', (values) => {
    const names = new Set(values.flatMap((value) => [value, value.split('.', 1)[0]!]));
    return ({ machine }) => names.has(machine.hostname);
  });
  both(
    'domain',
    oneOf(({ profile }) => profile.domain),
  );
  both(
    'agent_name',
    oneOf(({ profile }) => profile.agentName),
  );
  both(
    'owner',
    (values) =>
      ({ claim }) =>
        claim !== null && values.includes(claim.owner),
  );
  both(
    'power_state',
    oneOf(({ machine }) => machine.power?.state ?? 'unknown'),
  );
  test('not_arch', (values) =>
    ({ machine }) =>
      !architecturesOf('not_arch', values).includes(machine.architecture));
  const statuses = said(fields, 'status')?.map((value) => statusNumber('status', value));
  const groups = said(fields, 'simple_status')?.map(simpleStatus);
  both('status', (values) => {
    const wanted = new Set(values.map((value) => statusNumber('status', value)));
    return (sight) => wanted.has(statusOf(sight, eraseTold).status);
  });
  both('simple_status', (values) => {
    const wanted = values.map(simpleStatus);
    return (sight) => wanted.some((group) => group(statusOf(sight, eraseTold).status));
  });
  test('deployment_target', (values) => () => values.includes('disk'));
  const macs = said(fields, 'mac_address')?.map((value) => readMac(value));
  if (macs) {
    const wanted = new Set<string>(macs);
    tests.push(
      (sight) =>
        sight.machine.nics.some(({ mac }) => wanted.has(mac)) ||
        interfacesOf(sight).some(({ mac }) => wanted.has(mac.toLowerCase().replaceAll('-', ':'))),
    );
  }
  const pools = said(fields, 'pool');
  const architectures = said(fields, 'arch');
  const states = statuses && !groups ? statesOf(new Set(statuses)) : null;
  return {
    ids: (said(fields, 'id') as MachineId[] | null) ?? null,
    hostnames: said(fields, 'hostname')?.flatMap((name) => [name, name.split('.', 1)[0]!]) ?? null,
    macs: macs ?? null,
    filter: {
      ...(pools && { pools }),
      ...(architectures && { architectures: architecturesOf('arch', architectures) }),
      ...(states && { states }),
    },
    fits: (sight) => tests.every((fits) => fits(sight)),
  };
}

/** Tests of the filters that `machines/` and `op=allocate` share. */
export async function commonTests(tx: Tx, fields: Fields, around: Surroundings): Promise<Test[]> {
  const tests: Test[] = [];
  const test = (name: string, make: (values: readonly string[]) => Test): void => {
    const values = said(fields, name);
    if (values) tests.push(make(values));
  };
  const zonesOf = (field: string, values: readonly string[]): readonly string[] => {
    for (const name of values)
      if (!around.hasZone(name)) throw invalidField(field, `No such zone: '${name}'.`);
    return values;
  };
  test('zone', (values) => {
    const zones = zonesOf('zone', values);
    return ({ profile }) => zones.includes(profile.zone);
  });
  for (const name of ['not_zone', 'not_in_zone'])
    test(name, (values) => {
      const zones = zonesOf(name, values);
      return ({ profile }) => !zones.includes(profile.zone);
    });
  await refuseUnknownPools(tx, fields);
  test('pool', (values) =>
    ({ machine }) =>
      values.includes(machine.pool));
  for (const name of ['not_pool', 'not_in_pool'])
    test(
      name,
      (values) =>
        ({ machine }) =>
          !values.includes(machine.pool),
    );
  await refuseUnknownTags(tx, fields);
  test('tags', (values) => {
    const wanted = words(values);
    return ({ profile }) => wanted.every((tag) => profile.tags.includes(tag));
  });
  test('not_tags', (values) => {
    const wanted = words(values);
    return ({ profile }) => !wanted.some((tag) => profile.tags.includes(tag));
  });
  test('arch', (values) => {
    const wanted = architecturesOf('arch', values);
    return ({ machine }) => wanted.includes(machine.architecture);
  });
  const atLeast = (name: string, of: (sight: MachineSight) => number): void =>
    test(name, (values) => {
      const least = numberOf(name, values.at(-1)!);
      return (sight) => of(sight) >= least;
    });
  atLeast('cpu_count', ({ machine }) => machine.cpus);
  atLeast('mem', ({ machine }) => memoryOf(machine));
  // No machine tells its clock rate: a wish for one is met by none.
  atLeast('cpu_speed', () => 0);
  atLeast('link_speed', ({ machine }) => Math.max(0, ...machine.nics.map(({ speedMbps }) => speedMbps ?? 0)));
  const { network } = around;
  const onNetwork = (name: string, fits: (one: Interface, spec: string) => boolean): void => {
    const on =
      (values: readonly string[]): Test =>
      (sight) =>
        interfacesOf(sight).some((one) => values.some((spec) => fits(one, spec)));
    test(name, on);
    test(`not_${name}`, (values) => {
      const there = on(values);
      return (sight) => !there(sight);
    });
  };
  onNetwork('fabrics', (one, spec) => isOnFabric(network, one, spec));
  onNetwork('fabric_classes', (one, spec) => fabricOf(network, one)?.class_type === spec);
  onNetwork('vlans', (one, spec) => isOnVlan(network, one, spec));
  onNetwork('subnets', (one, spec) => isOnSubnet(network, one, spec));
  test('storage', (values) => {
    const wanted = values.join(',');
    matchStorage(wanted, null);
    return ({ machine }) => matchStorage(wanted, machine) !== null;
  });
  test('interfaces', (values) => {
    const wanted = values.join(';');
    matchInterfaces(wanted, null, network);
    return (sight) => matchInterfaces(wanted, sight, network) !== null;
  });
  for (const name of ['pod', 'pod_type', 'devices']) test(name, () => () => false);
  return tests;
}

async function refuseUnknownTags(tx: Tx, fields: Fields): Promise<void> {
  for (const field of ['tags', 'not_tags']) {
    const wanted = words(said(fields, field) ?? []);
    if (wanted.length === 0) continue;
    const known = new Set((await tx.records.list('tag')).map(({ name }) => name));
    const missing = wanted.filter((tag) => !known.has(tag));
    if (missing.length > 0)
      throw invalidField(field, `No such tag(s): ${missing.map((tag) => `'${tag}'`).join(', ')}.`);
  }
}

async function refuseUnknownPools(tx: Tx, fields: Fields): Promise<void> {
  for (const field of ['pool', 'not_pool', 'not_in_pool'])
    for (const name of said(fields, field) ?? []) {
      if (name === 'default' || (await tx.pools.find(name))) continue;
      // A pool that nobody has described is there when a machine is in it.
      if ((await tx.machines.page(null, 1, { pools: [name] })).length > 0) continue;
      throw invalidField(field, `No such pool: '${name}'.`);
    }
}

/** The values of a filter; null when it was not given, or only as an empty text, which asks for nothing. */
export function said(fields: Fields, name: string): readonly string[] | null {
  const values = fields.all(name).filter((value) => value !== '');
  return values.length === 0 ? null : values;
}

/** Words separated by commas or blanks. */
export function words(values: readonly string[]): readonly string[] {
  return values.flatMap((value) => value.split(/[\s,]+/)).filter((word) => word !== '');
}

function architecturesOf(field: string, values: readonly string[]): readonly string[] {
  return values.map((value) => {
    const found = architectureOf(value);
    if (found === null)
      throw invalidField(field, `Select a valid choice. ${value} is not one of the available choices.`);
    return found;
  });
}

function statusNumber(field: string, value: string): StatusNumber {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[\s_-]+/g, ' ');
  const found = Object.entries(statusNames).find(
    ([number, name]) => number === value || plain(name) === plain(value),
  );
  if (!found)
    throw invalidField(field, `Select a valid choice. ${value} is not one of the available choices.`);
  return Number(found[0]) as StatusNumber;
}

function simpleStatus(value: string): (status: StatusNumber) => boolean {
  if (value === 'other') {
    const told = new Set(Object.values(simpleStatuses).flat());
    return (status) => !told.has(status);
  }
  const group = Object.hasOwn(simpleStatuses, value) ? simpleStatuses[value] : undefined;
  if (!group)
    throw invalidField(
      'simple_status',
      `Select a valid choice. ${value} is not one of the available choices.`,
    );
  return (status) => group.includes(status);
}

function numberOf(field: string, value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || value.trim() === '')
    throw invalidField(field, `Invalid ${field.replace('_', ' ')}: number required.`);
  return number;
}

function readMac(value: string): Mac {
  try {
    return parseMac(value);
  } catch {
    throw invalidField('mac_address', `Invalid MAC address(es): ${value}`);
  }
}
