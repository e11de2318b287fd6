import type { Machine } from '../core/machine/machine.ts';
import {
  toFabric,
  toSubnet,
  toVlan,
  untaggedVid,
  vlanRecordName,
  type FabricRecord,
} from '../core/network/network-records.ts';
import type { Switch } from '../core/rack/wiring.ts';
import type { Tx } from '../core/storage/storage.ts';

/** The fabric of machines that no rack config knows. */
export const nowhereFabric = 'fabric-0';

/** What the subnet of the provisioning network is called until the configuration says its addresses: RFC 5737, used by nobody. */
export const unknownSubnet = '192.0.2.0/24';

/** The provisioning network as the configuration knows it. */
export interface ProvisioningAddresses {
  /** Network and prefix length: `10.11.0.0/24`. */
  readonly cidr: string;
}

/** The network of an address with the length of its prefix: `10.11.0.1`, 24 → `10.11.0.0/24`. */
export function networkOf({ host, prefix }: { readonly host: string; readonly prefix: number }): string {
  const number = host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const base = number - (number % 2 ** (32 - prefix));
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.')}/${prefix}`;
}

/** Numbers of the records of VLAN and subnet where a machine boots. */
export interface BootNetwork {
  readonly vlan: number;
  readonly subnet: number;
}

/**
 * Makes the records that MAAS clients need of what the rack config says, where they are missing: each fabric, its untagged VLAN, its explicit
 * provisioning VLAN, and a subnet where machines boot. What clients changed stays. Call it at the start and after an upload of a rack config.
 */
export async function ensureNetworks(tx: Tx, addresses: ProvisioningAddresses | null = null): Promise<void> {
  const declared = provisioningVids(await tx.racks.switches());
  const known = new Set((await tx.records.list('fabric')).map(({ name }) => name));
  for (const [name, vid] of declared) await ensureFabric(tx, name, vid, addresses);
  // Clients take the first subnet with DHCP: once there are real ones, it must not be that of machines nobody has wired.
  const firstReal = [...declared.keys()].some((name) => name !== nowhereFabric && !known.has(name));
  if (!declared.has(nowhereFabric)) await ensureFabric(tx, nowhereFabric, untaggedVid, addresses);
  if (firstReal && !declared.has(nowhereFabric)) await endDhcpNowhere(tx);
}

/** Where the machine boots: the provisioning network of the fabric that its first connected NIC is wired to. */
export async function bootNetwork(tx: Tx, { nics }: Pick<Machine, 'nics'>): Promise<BootNetwork> {
  const wires = await tx.racks.wiresOf(nics.map(({ mac }) => mac));
  const wire = nics.map(({ mac }) => wires.find((one) => one.mac === mac)).find((one) => one !== undefined);
  const fabric = wire ? (await tx.racks.findSwitch(wire.switch))?.fabric : undefined;
  const networks = await fabricNetworks(tx);
  const network = networks.get(fabric ?? nowhereFabric) ?? networks.get(nowhereFabric);
  if (!network) throw new Error('there is no network record to boot from: ensureNetworks never ran');
  return network;
}

/** Numbers of the VLAN records where machines boot: of each fabric the untagged one, and the explicit one of the rack config. */
export async function provisioningVlans(tx: Tx): Promise<ReadonlySet<number>> {
  const explicit = provisioningVids(await tx.racks.switches());
  const fabrics = new Map((await tx.records.list('fabric')).map(({ id, name }) => [id, name ?? '']));
  return new Set(
    (await tx.records.list('vlan'))
      .map(toVlan)
      .filter(({ fabric, vid }) => vid === untaggedVid || vid === explicit.get(fabrics.get(fabric) ?? ''))
      .map(({ id }) => id),
  );
}

/** By name of the fabric. */
async function fabricNetworks(tx: Tx): Promise<ReadonlyMap<string, BootNetwork>> {
  const explicit = provisioningVids(await tx.racks.switches());
  const subnets = new Map<number, number>();
  for (const { vlan, id } of (await tx.records.list('subnet')).map(toSubnet))
    if (!subnets.has(vlan)) subnets.set(vlan, id);
  const networks = new Map<string, BootNetwork>();
  for (const fabric of (await tx.records.list('fabric')).map(toFabric)) {
    const vid = explicit.get(fabric.name) ?? untaggedVid;
    const vlan = await tx.records.findByName('vlan', vlanRecordName(fabric.id, vid));
    const subnet = vlan && subnets.get(vlan.id);
    if (vlan && subnet !== null && subnet !== undefined) networks.set(fabric.name, { vlan: vlan.id, subnet });
  }
  return networks;
}

/** By fabric; the rack config allows one provisioning network in each. */
function provisioningVids(switches: readonly Switch[]): ReadonlyMap<string, number> {
  return new Map(
    switches.map(({ fabric, provisioning }) => [
      fabric,
      provisioning === 'default-vlan' ? untaggedVid : provisioning,
    ]),
  );
}

async function ensureFabric(
  tx: Tx,
  name: string,
  vid: number,
  addresses: ProvisioningAddresses | null,
): Promise<void> {
  const fabric = await fabricNamed(tx, name);
  await ensureUntagged(tx, fabric.id, vid === untaggedVid);
  const boot = await ensureVlan(tx, fabric.id, vid, true);
  await ensureSubnet(tx, boot, addresses);
}

async function fabricNamed(tx: Tx, name: string): Promise<FabricRecord> {
  const found = await tx.records.findByName('fabric', name);
  const body = { name, description: '', class_type: null };
  return toFabric(found ?? (await tx.records.insert({ kind: 'fabric', name, owner: null, body })));
}

/** The untagged VLAN of a fabric: every one has it. */
export async function ensureUntagged(tx: Tx, fabric: number, dhcp: boolean): Promise<number> {
  return ensureVlan(tx, fabric, untaggedVid, dhcp);
}

async function ensureVlan(tx: Tx, fabric: number, vid: number, dhcp: boolean): Promise<number> {
  const name = vlanRecordName(fabric, vid);
  const found = await tx.records.findByName('vlan', name);
  if (found) return found.id;
  const body = {
    fabric,
    vid,
    name: vid === untaggedVid ? 'untagged' : 'provisioning',
    description: '',
    mtu: 1500,
    dhcp_on: dhcp,
    space: null,
    relay_vlan: null,
  };
  return (await tx.records.insert({ kind: 'vlan', name, owner: null, body })).id;
}

async function ensureSubnet(tx: Tx, vlan: number, addresses: ProvisioningAddresses | null): Promise<void> {
  const cidr = addresses?.cidr ?? unknownSubnet;
  const found = (await tx.records.list('subnet')).find((record) => toSubnet(record).vlan === vlan);
  if (!found) {
    const body = { vlan, cidr, name: cidr, gateway_ip: null, dns_servers: [] };
    await tx.records.insert({ kind: 'subnet', name: null, owner: null, body });
  } else if (toSubnet(found).cidr === unknownSubnet && cidr !== unknownSubnet) {
    const name = found.body['name'] === unknownSubnet ? cidr : found.body['name']!;
    await tx.records.update({ ...found, body: { ...found.body, cidr, name } });
  }
}

async function endDhcpNowhere(tx: Tx): Promise<void> {
  const fabric = await tx.records.findByName('fabric', nowhereFabric);
  const vlan = fabric && (await tx.records.findByName('vlan', vlanRecordName(fabric.id, untaggedVid)));
  if (vlan) await tx.records.update({ ...vlan, body: { ...vlan.body, dhcp_on: false } });
}
