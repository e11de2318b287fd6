import type { MachineId } from '../../core/machine/machine.ts';
import { toSubnet } from '../../core/network/network-records.ts';
import type { StoredRecord } from '../../core/storage/stored-record.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { toDevice } from './device.ts';
import { wholeNumber } from './form-values.ts';
import type { MaasCall, MaasUser } from './handler.ts';
import { contains, formatAddress, parseAddress, parseNetwork, usable, type IpNetwork } from './ip-network.ts';
import { mayView } from './machine-desk.ts';
import { seeMachines } from './machine-sight.ts';
import { invalidField } from './maas-refusal.ts';
import { NetworkLookup } from './network-lookup.ts';
import { textOf } from './text-of.ts';

/** Addresses one after the other, and what they are used for. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
  readonly purposes: readonly string[];
}

/** An address that somebody has. */
interface UsedAddress {
  readonly ip: string;
  /** MAAS's number: 1 sticky (of an interface), 4 reserved by a user. */
  readonly alloc: 1 | 4;
  readonly user: string | null;
  readonly node: { readonly system_id: string; readonly via: string; readonly node_type: 0 | 1 } | null;
}

/** The network of a subnet's record. */
export function networkOfSubnet(record: StoredRecord): IpNetwork {
  return parseNetwork(toSubnet(record).cidr)!;
}

/** What is used of the subnet, in order of address, without overlap. */
export async function usedRanges(tx: Tx, subnet: StoredRecord): Promise<readonly AddressRange[]> {
  const network = networkOfSubnet(subnet);
  const { family } = network;
  const { gateway_ip: gateway, dns_servers: servers } = toSubnet(subnet);
  const single = (ip: string, purpose: string): readonly AddressRange[] => {
    if (!contains(network, ip)) return [];
    const { value } = parseAddress(ip)!;
    return [{ family, first: value, last: value, purposes: [purpose] }];
  };
  const ranges = (await tx.records.list('ip-range'))
    .filter(({ body }) => body['subnet'] === subnet.id)
    .map(({ body }): AddressRange => ({
      family,
      first: parseAddress(textOf(body['start_ip']))!.value,
      last: parseAddress(textOf(body['end_ip']))!.value,
      purposes: [textOf(body['type'])],
    }));
  const addresses = (await usedAddresses(tx, subnet)).flatMap(({ ip }) => single(ip, 'assigned-ip'));
  return merged([
    ...ranges,
    ...addresses,
    ...(gateway === null ? [] : single(gateway, 'gateway-ip')),
    ...servers.flatMap((ip) => single(ip, 'dns-server')),
  ]);
}

/** What is left of the subnet. */
export function freeRanges(subnet: StoredRecord, used: readonly AddressRange[]): readonly AddressRange[] {
  const network = networkOfSubnet(subnet);
  const [first, last] = usable(network);
  const { family } = network;
  const free: AddressRange[] = [];
  let next = first;
  for (const range of used) {
    if (range.first > next) free.push({ family, first: next, last: range.first - 1n, purposes: ['unused'] });
    if (range.last >= next) next = range.last + 1n;
  }
  if (next <= last) free.push({ family, first: next, last, purposes: ['unused'] });
  return free;
}

export function rangeJson({ family, first, last, purposes }: AddressRange): unknown {
  return {
    start: formatAddress(first, family),
    end: formatAddress(last, family),
    purpose: purposes,
    num_addresses: size({ first, last }),
  };
}

export function statisticsJson(subnet: StoredRecord, used: readonly AddressRange[]): unknown {
  const network = networkOfSubnet(subnet);
  const [first, last] = usable(network);
  const total = size({ first, last });
  const free = freeRanges(subnet, used).map(size);
  const available = free.reduce((sum, one) => sum + one, 0);
  const usage = (total - available) / total;
  return {
    num_available: available,
    largest_available: Math.max(0, ...free),
    num_unavailable: total - available,
    total_addresses: total,
    usage,
    usage_string: `${Math.round(usage * 100)}%`,
    available_string: `${100 - Math.round(usage * 100)}%`,
    first_address: formatAddress(first, network.family),
    last_address: formatAddress(last, network.family),
    ip_version: network.family,
  };
}

/** The addresses of the subnet that somebody has, as `ip_addresses` tells them: of machines and users, those that the asker may see. */
export async function addressesIn(tx: Tx, subnet: StoredRecord, asker: MaasUser): Promise<unknown> {
  const used = await usedAddresses(tx, subnet);
  const ids = used.flatMap(({ node }) => (node?.node_type === 0 ? [node.system_id as MachineId] : []));
  const machines = await tx.machines.shown(ids);
  const seen = (await seeMachines(tx, machines, await NetworkLookup.read(tx))).filter(mayView(asker));
  const hostnames = new Map<string, string>([
    ...(await tx.records.list('device'))
      .map(toDevice)
      .map(({ systemId, hostname }) => [systemId, hostname] as const),
    ...seen.map(({ machine: { id, hostname } }) => [id, hostname] as const),
  ]);
  return used.map(({ ip, alloc, user, node }) => {
    const hostname = node && hostnames.get(node.system_id);
    const known = user !== null && (asker.isAdmin || user === asker.principal.name);
    return {
      ip,
      alloc_type: alloc,
      ...(known && { user }),
      ...(hostname != null && {
        node_summary: { ...node, hostname, fqdn: hostname, is_container: false },
      }),
    };
  });
}

/** Addresses of machines' and devices' interfaces, and those that users reserved. */
export async function usedAddresses(tx: Tx, subnet: StoredRecord): Promise<readonly UsedAddress[]> {
  const network = networkOfSubnet(subnet);
  const used: UsedAddress[] = [];
  const add = (address: UsedAddress): void => {
    if (contains(network, address.ip)) used.push(address);
  };
  for (const { machineId, interfaces, networkBefore } of await tx.profiles.list()) {
    // Those that it gets back when its claim ends are nobody else's meanwhile.
    const all = [...(interfaces ?? []), ...(networkBefore?.interfaces ?? [])];
    const vias = new Map<string, string>();
    for (const { name, links } of all)
      for (const { address } of links) if (address !== null && !vias.has(address)) vias.set(address, name);
    for (const [ip, via] of vias)
      add({ ip, alloc: 1, user: null, node: { system_id: machineId, via, node_type: 0 } });
  }
  for (const device of (await tx.records.list('device')).map(toDevice))
    for (const { name, links } of device.interfaces)
      for (const { address } of links)
        if (address !== null)
          add({
            ip: address,
            alloc: 1,
            user: null,
            node: { system_id: device.systemId, via: name, node_type: 1 },
          });
  for (const { name, owner } of await tx.records.list('ip-address'))
    add({ ip: name ?? '', alloc: 4, user: owner, node: null });
  return used;
}

/**
 * Refuses to give an interface an address that somebody else has: another machine or device, or a user who reserved it. What is wrong
 * with the link otherwise is for the rules of interfaces.
 * @param of the machine or device whose interface it is
 * @throws MaasRefusal 400
 */
export async function refuseForeignAddress(
  tx: Tx,
  { fields, user }: Pick<MaasCall, 'fields' | 'user'>,
  of: string,
): Promise<void> {
  const wanted = parseAddress(fields.get('ip_address')?.trim() ?? '')?.value;
  const number = wholeNumber(fields, 'subnet');
  const isFixed = fields.get('mode')?.trim().toLowerCase() === 'static';
  if (!isFixed || wanted === undefined || number === undefined) return;
  const subnet = await tx.records.find('subnet', number);
  const used = subnet ? await usedAddresses(tx, subnet) : [];
  const taken = used.some(
    ({ ip, node, user: owner }) =>
      parseAddress(ip)?.value === wanted && node?.system_id !== of && owner !== user.principal.name,
  );
  if (taken) throw invalidField('ip_address', 'IP address is already in use.');
}

function merged(ranges: readonly AddressRange[]): readonly AddressRange[] {
  const ordered = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: AddressRange[] = [];
  for (const range of ordered) {
    const before = result.at(-1);
    if (before && range.first <= before.last) {
      const last = range.last > before.last ? range.last : before.last;
      const purposes = [...new Set([...before.purposes, ...range.purposes])];
      result[result.length - 1] = { ...before, last, purposes };
    } else {
      result.push(range);
    }
  }
  return result;
}

function size({ first, last }: { readonly first: bigint; readonly last: bigint }): number {
  return Number(last - first + 1n);
}
