import type { ShownMachine } from '../../core/machine/machine.ts';
import type { Interface } from '../../core/network/interface.ts';
import { interfacesOf, type MachineSight } from './machine-sight.ts';
import { invalidField } from './maas-refusal.ts';
import type { NetworkLookup } from './network-lookup.ts';
import { isInSpace, isOnFabric, isOnSubnet, isOnVlan } from './network-specifier.ts';
import { diskTags, localDisks, rootDisk } from './shapes/block-device.ts';

/** Ids of the disks or interfaces that fulfil a constraint, by its label. */
export type Matches = Readonly<Record<string, readonly number[]>>;

/**
 * Matches a `storage` constraint: `root:100(ssd),data:1000,500(rotary)`; sizes in GB (10^9 bytes), 0 = any; the first is the disk installed to, each
 * other takes the smallest disk that fits and is left. What has no label is looked for, and not told.
 * @param machine null only checks the constraint
 * @returns null when the machine has no such disks
 * @throws MaasRefusal 400
 */
export function matchStorage(
  constraint: string,
  machine: Pick<ShownMachine, 'disks' | 'rootDiskSerial'> | null,
): Matches | null {
  const wanted = readStorage(constraint);
  if (!machine) return {};
  const left = [...localDisks(machine.disks)].sort((a, b) => a.disk.bytes - b.disk.bytes);
  const matches = new Map<string, readonly number[]>();
  for (const [index, { label, bytes, tags }] of wanted.entries()) {
    const fits = ({ disk }: (typeof left)[number]): boolean =>
      disk.bytes >= bytes && tags.every((tag) => diskTags(disk).includes(tag));
    const root = rootDisk(machine);
    const at = left.findIndex((one) => (index > 0 || one.id === root?.id) && fits(one));
    if (at < 0) return null;
    const [taken] = left.splice(at, 1);
    if (label !== null) matches.set(label, [taken!.id]);
  }
  return Object.fromEntries(matches);
}

function readStorage(
  constraint: string,
): readonly { readonly label: string | null; readonly bytes: number; readonly tags: readonly string[] }[] {
  const parts = constraint.match(/[^,(]+(\([^)]*\))?/g) ?? [];
  if (parts.join(',') !== constraint) throw malformed(constraint);
  return parts.map((part) => {
    const match = /^(?:([A-Za-z_][\w-]*):)?(\d+(?:\.\d+)?)(?:\(([^)]*)\))?$/.exec(part.trim());
    if (!match) throw malformed(constraint);
    return {
      label: match[1] ?? null,
      bytes: Number(match[2]) * 1e9,
      tags: (match[3] ?? '')
        .split(',')
        .map((tag) => tag.trim())
        .filter((tag) => tag !== ''),
    };
  });
}

function malformed(constraint: string): Error {
  return invalidField('storage', `Malformed storage constraint, "${constraint}".`);
}

type InterfaceTest = (one: Interface, value: string, sight: MachineSight, network: NetworkLookup) => boolean;

const interfaceTests: Readonly<Record<string, InterfaceTest>> = {
  id: (one, value) => String(one.id) === value,
  name: (one, value) => one.name === value,
  type: (one, value) => one.kind === value,
  fabric: (one, value, _sight, network) => isOnFabric(network, one, value),
  vlan: (one, value, _sight, network) => isOnVlan(network, one, value),
  vid: (one, value, _sight, network) => isOnVlan(network, one, `vid:${value}`),
  subnet: (one, value, _sight, network) => isOnSubnet(network, one, value),
  subnet_cidr: (one, value, _sight, network) => isOnSubnet(network, one, value),
  space: (one, value, _sight, network) => isInSpace(network, one, value),
  mac_address: (one, value) => one.mac.toLowerCase() === value.toLowerCase(),
  hostname: (_one, value, { machine }) => machine.hostname === value,
  mode: (one, value) => one.links.some(({ mode }) => mode === value),
  ip: (one, value) => one.links.some(({ address }) => address === value),
  ip_address: (one, value) => one.links.some(({ address }) => address === value),
  tag: (one, value) => one.tags.includes(value),
  link_speed: (one, value, { machine }) =>
    (machine.nics.find(({ mac }) => mac === one.mac.toLowerCase())?.speedMbps ?? 0) >= Number(value),
};

/**
 * Matches an `interfaces` constraint: `db:space=storage,vid=12;web:subnet=10.0.0.0/24`. Values of one key are alternatives, keys of one label must all
 * be met by one interface; `not_` before a key turns it round.
 * @param sight null only checks the constraint
 * @returns null when the machine has no such interfaces
 * @throws MaasRefusal 400
 */
export function matchInterfaces(
  constraint: string,
  sight: MachineSight | null,
  network: NetworkLookup,
): Matches | null {
  const wanted = readInterfaces(constraint);
  if (!sight) return {};
  const matches = new Map<string, readonly number[]>();
  for (const [label, conditions] of wanted) {
    const found = interfacesOf(sight).filter((one) =>
      [...conditions].every(([key, values]) => {
        const opposite = key.startsWith('not_');
        const fits = interfaceTests[opposite ? key.slice(4) : key]!;
        return values.some((value) => fits(one, value, sight, network)) !== opposite;
      }),
    );
    if (found.length === 0) return null;
    matches.set(
      label,
      found.map(({ id }) => id),
    );
  }
  return Object.fromEntries(matches);
}

function readInterfaces(constraint: string): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const wanted = new Map<string, Map<string, string[]>>();
  for (const part of constraint.split(';').filter((one) => one.trim() !== '')) {
    const colon = part.indexOf(':');
    const label = part.slice(0, colon).trim();
    if (colon < 1 || !/^[\w-]+$/.test(label))
      throw invalidField('interfaces', `Malformed constraint, "${part}": it needs a label.`);
    const conditions = wanted.get(label) ?? new Map<string, string[]>();
    for (const condition of part.slice(colon + 1).split(',')) {
      const [key, value] = splitOnce(condition.trim(), '=');
      if (!Object.hasOwn(interfaceTests, key.replace(/^not_/, '')) || value === '')
        throw invalidField('interfaces', `Unknown interfaces constraint, "${key}".`);
      conditions.set(key, [...(conditions.get(key) ?? []), value]);
    }
    wanted.set(label, conditions);
  }
  return wanted;
}

function splitOnce(text: string, at: string): readonly [string, string] {
  const index = text.indexOf(at);
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}
