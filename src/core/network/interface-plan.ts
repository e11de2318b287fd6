import {
  bondModes,
  parseMac,
  type BondMode,
  type BondSettings,
  type JsonObject,
  type Mac,
  type NicPlan,
  type NicPlanEntry,
  type NicSettings,
  type VlanId,
} from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { TenantNetwork } from '../claim/deployment.ts';
import { effectiveMtus, type Interface, type InterfaceLink } from './interface.ts';
import { untaggedVid, type SubnetRecord, type VlanRecord } from './network-records.ts';

/** What the numbers in interfaces mean. */
export interface NetworkNumbers {
  /** Names of the fabrics. */
  readonly fabrics: ReadonlyMap<number, string>;
  readonly vlans: ReadonlyMap<number, VlanRecord>;
  readonly subnets: ReadonlyMap<number, SubnetRecord>;
  /** VLANs that are a fabric's provisioning network. */
  readonly provisioning: ReadonlySet<number>;
}

/** A NIC that something can be heard on. */
export interface UsableNic {
  /** Of the hardware. */
  readonly mac: Mac;
  /** Fabric of the switch that it is wired to; null where the wiring is somebody else's. */
  readonly fabric: string | null;
}

/** The NIC plan of a machine's interfaces, and what it means for the ports. */
export interface PlannedInterfaces extends Pick<TenantNetwork, 'native' | 'tagged'> {
  readonly plan: NicPlan;
  /** Hardware MACs that carry the tenant's VLANs. */
  readonly inUse: readonly Mac[];
  /** Connected NICs that the plan leaves out; their ports are parked. */
  readonly leftOut: readonly Mac[];
}

type Named = Pick<Interface, 'name'>;

/** Names that Linux takes for an interface (`dev_valid_name`): 15 bytes, no colon, and neither `.` nor `..`. */
function isDeviceName(name: string): boolean {
  return name.length <= 15 && !name.includes(':') && name !== '.' && name !== '..';
}

/**
 * Plans a deployment from a machine's interfaces. A NIC or bond is in use when it has an address (DHCP or fixed) or a VLAN interface on it;
 * its own VLAN is untagged, those of VLAN interfaces are tagged. Every port in use is set alike, so there is one untagged VLAN in all.
 * @param usable connected NICs in the machine's order; all of them where the wiring is somebody else's.
 * @param gatewayLinks numbers of the links whose subnets have the default routes; else it is the first with a gateway.
 * @throws ServiceError `network.interfaces` naming the interface and what cannot be carried; `wiring.none` without a usable NIC.
 */
export function planInterfaces(
  interfaces: readonly Interface[],
  numbers: NetworkNumbers,
  usable: readonly UsableNic[],
  canBond: boolean,
  gatewayLinks: readonly number[] = [],
): PlannedInterfaces {
  if (usable.length === 0)
    throw new ServiceError({ code: 'wiring.none', what: 'the machine has no connected NIC' });
  const enabled = interfaces.filter((one) => one.enabled);
  const byId = new Map(enabled.map((one) => [one.id, one]));
  refuseRepeated(enabled);
  const bridge = enabled.find((one) => one.kind === 'bridge');
  if (bridge)
    throw refused(
      bridge,
      'bridges are not made here',
      'remove it, and let the system make it by its user data',
    );

  const bonds = enabled.filter((one) => one.kind === 'bond');
  const vlans = enabled.filter((one) => one.kind === 'vlan');
  const bondOf = new Map<number, Interface>();
  for (const bond of bonds)
    for (const parent of bond.parents) {
      const other = bondOf.get(parent);
      if (other) throw refused(bond, `a NIC of it is in ${other.name} too`);
      bondOf.set(parent, bond);
    }
  const links = enabled.filter(
    (one) => one.kind !== 'vlan' && (isAddressed(one) || vlans.some((vlan) => vlan.parents.includes(one.id))),
  );
  for (const link of links) {
    const bond = bondOf.get(link.id);
    if (bond) throw refused(link, `it is in ${bond.name} and can have neither address nor VLAN of its own`);
  }
  if (links.length === 0)
    throw new ServiceError({
      code: 'network.interfaces',
      what: 'no interface has an address or a VLAN: the machine would be on no network',
      remedy: 'link an interface to a subnet',
    });

  const hardware = new Map(usable.map((nic) => [nic.mac, nic]));
  const nicOf = (one: Interface): UsableNic => {
    const nic = hardware.get(parseMac(one.mac));
    if (nic) return nic;
    throw refused(
      one,
      `its MAC ${one.mac} is not that of a connected NIC`,
      'add its port to the rack config',
    );
  };
  const nicsOf = (link: Interface): readonly UsableNic[] =>
    link.kind === 'physical' ? [nicOf(link)] : membersOf(link, byId).map(nicOf);
  const used = links.map((link) => ({ link, nics: nicsOf(link) }));
  const fabrics = new Set(used.flatMap(({ nics }) => nics.map((nic) => nic.fabric)));
  if (fabrics.size > 1)
    throw new ServiceError({
      code: 'wiring.fabric',
      what: `its interfaces in use are on fabrics ${[...fabrics].join(' and ')}`,
    });
  const [fabric = null] = fabrics;
  const vlanOf = (one: Interface): VlanRecord => knownVlan(one, numbers, fabric);

  const untagged = used
    .filter(({ link }) => isAddressed(link))
    .map(({ link }) => ({ link, native: nativeOf(vlanOf(link), numbers) }));
  const native = untagged[0]?.native ?? null;
  const other = untagged.find((one) => one.native !== native);
  if (other)
    throw refused(
      other.link,
      `it is untagged in ${describe(other.native)}, and ${untagged[0]!.link.name} in ${describe(native)}: ` +
        'all ports of a machine carry one and the same VLAN untagged',
      'make a VLAN interface for one of the two',
    );

  const standing = [...links, ...vlans];
  const routed = defaultRoutes(standing, numbers, gatewayLinks);
  const mtus = effectiveMtus(standing, (vlan) => numbers.vlans.get(vlan)?.mtu);
  const settings = (one: Interface): NicSettings & { readonly dhcp: boolean } => ({
    ...settingsOf(one, numbers, routed),
    ...mtuOf(one, mtus),
  });
  const entries = used.map(({ link, nics }): NicPlanEntry => {
    const common = { name: link.name, mac: parseMac(link.mac), ...settings(link) };
    if (link.kind === 'physical') return { kind: 'nic', hardware: nics[0]!.mac, ...common };
    if (!canBond) throw refused(link, 'the image cannot bond', 'remove the bond, or take another image');
    // A NIC keeps the name that the system gives it; a bond gets this one.
    if (!isDeviceName(link.name))
      throw refused(
        link,
        'no interface can be called so',
        'rename it: 15 characters at most, without a colon',
      );
    return { kind: 'bond', members: nics.map((nic) => nic.mac), ...common, ...bondOptions(link, fabric) };
  });
  const tagged = new Set<VlanId>();
  const children = vlans.map((one): NicPlanEntry => {
    const [parent, ...more] = one.parents.map((id) => byId.get(id));
    if (!parent || more.length > 0 || parent.kind === 'vlan')
      throw refused(one, 'a VLAN interface is on exactly one NIC or bond that is enabled');
    const record = vlanOf(one);
    if (numbers.provisioning.has(record.id) || record.vid === untaggedVid)
      throw refused(one, 'the provisioning network cannot be tagged');
    const vlan = record.vid as VlanId;
    if (vlan === native) throw refused(one, `VLAN ${vlan} is untagged on the ports already`);
    if (vlans.some((twin) => twin !== one && twin.vlan === one.vlan && twin.parents.includes(parent.id)))
      throw refused(one, `${parent.name} has two interfaces in VLAN ${vlan}`);
    tagged.add(vlan);
    const name = isDeviceName(one.name) ? one.name : `vlan${vlan}`;
    return { kind: 'vlan', name, link: parent.name, vlan, mac: parseMac(one.mac), ...settings(one) };
  });
  refuseSharedMacs(entries);
  refuseSharedNames([...entries, ...children]);

  const inUse = new Set(used.flatMap(({ nics }) => nics.map((nic) => nic.mac)));
  const macs = usable.map((nic) => nic.mac);
  return {
    plan: [...entries, ...children],
    inUse: macs.filter((mac) => inUse.has(mac)),
    leftOut: macs.filter((mac) => !inUse.has(mac)),
    native,
    tagged: [...tagged].sort((a, b) => a - b),
  };
}

/** Whether it asks for an address: what has none carries nothing by itself. */
function isAddressed(one: Interface): boolean {
  return one.links.some((link) => link.mode !== 'link_up');
}

function membersOf(bond: Interface, byId: ReadonlyMap<number, Interface>): readonly Interface[] {
  const members = bond.parents.map((id) => {
    const member = byId.get(id);
    if (member?.kind === 'physical') return member;
    throw refused(bond, 'a bond is over NICs that are enabled, and nothing else');
  });
  if (members.length === 0) throw refused(bond, 'it has no NIC');
  return members;
}

function knownVlan(one: Interface, numbers: NetworkNumbers, fabric: string | null): VlanRecord {
  const record = one.vlan === null ? undefined : numbers.vlans.get(one.vlan);
  if (!record) throw refused(one, 'it is in no VLAN');
  const name = numbers.fabrics.get(record.fabric);
  if (fabric !== null && name !== fabric)
    throw refused(one, `its VLAN is of the fabric ${name ?? record.fabric}, and its port of ${fabric}`);
  return record;
}

function nativeOf({ id, vid }: VlanRecord, numbers: NetworkNumbers): VlanId | 'provisioning' {
  return vid === untaggedVid || numbers.provisioning.has(id) ? 'provisioning' : (vid as VlanId);
}

function describe(native: TenantNetwork['native']): string {
  return typeof native === 'number' ? `VLAN ${native}` : `the ${native ?? 'empty'} network`;
}

/** Gateways by number of the link they belong to: one for IPv4 and one for IPv6 at most. */
function defaultRoutes(
  interfaces: readonly Interface[],
  { subnets }: NetworkNumbers,
  preferred: readonly number[],
): ReadonlyMap<number, string> {
  const found = interfaces
    .flatMap((one) => one.links)
    .flatMap((link): { readonly link: number; readonly via: string }[] => {
      const via = link.subnet === null ? null : (subnets.get(link.subnet)?.gateway_ip ?? null);
      return link.mode === 'static' && via !== null ? [{ link: link.id, via }] : [];
    });
  const routes = new Map<number, string>();
  for (const six of [false, true]) {
    const family = found.filter(({ via }) => via.includes(':') === six);
    const chosen = family.find(({ link }) => preferred.includes(link)) ?? family[0];
    if (chosen) routes.set(chosen.link, chosen.via);
  }
  return routes;
}

function settingsOf(
  one: Interface,
  numbers: NetworkNumbers,
  routed: ReadonlyMap<number, string>,
): NicSettings & { readonly dhcp: boolean } {
  for (const { subnet: id } of one.links) {
    const subnet = id === null ? undefined : numbers.subnets.get(id);
    if (subnet && subnet.vlan !== one.vlan)
      throw refused(one, `the subnet ${subnet.cidr} that it is linked to is in another VLAN`, 'link it anew');
  }
  const fixed = one.links.filter((link) => link.mode === 'static').map((link) => fixedOf(one, link, numbers));
  const gateways = one.links.flatMap((link) => routed.get(link.id) ?? []);
  const nameservers = [...new Set(fixed.flatMap(({ subnet }) => subnet.dns_servers))];
  return {
    dhcp: one.links.some((link) => link.mode === 'dhcp' || link.mode === 'auto'),
    ...(fixed.length > 0 && { addresses: fixed.map(({ address }) => address) }),
    ...(gateways.length > 0 && { gateways }),
    ...(nameservers.length > 0 && { nameservers }),
  };
}

/** What every system has anyway is not told. */
function mtuOf(one: Interface, mtus: ReadonlyMap<number, number>): Pick<NicSettings, 'mtu'> {
  const mtu = mtus.get(one.id);
  return mtu === undefined || (mtu === 1500 && one.params['mtu'] === undefined) ? {} : { mtu };
}

function fixedOf(
  one: Interface,
  { address, subnet: id }: InterfaceLink,
  { subnets }: NetworkNumbers,
): { readonly address: string; readonly subnet: SubnetRecord } {
  const subnet = id === null ? undefined : subnets.get(id);
  const prefix = subnet?.cidr.split('/')[1];
  if (!subnet || address === null || prefix === undefined)
    throw refused(one, 'a fixed address needs the address and its subnet');
  return { address: `${address}/${prefix}`, subnet };
}

/** MAAS's parameters of a bond. Without a mode it fails over: what needs nothing of the switches. */
function bondOptions(bond: Interface, fabric: string | null): BondSettings & { readonly mode: BondMode } {
  const { params } = bond;
  const mode = bondModes.find((one) => one === (params['bond_mode'] ?? 'active-backup'));
  if (!mode) throw refused(bond, `there is no bond mode ${JSON.stringify(params['bond_mode'])}`);
  if (mode === '802.3ad' && fabric !== null)
    throw refused(
      bond,
      'mode 802.3ad needs port-channels on the switches, which are not configured here',
      'use active-backup, or balance-tlb',
    );
  const option = <K extends keyof BondSettings>(key: K, value: BondSettings[K] | null): BondSettings =>
    value === null || value === undefined ? {} : { [key]: value };
  const text = (name: string): string | null =>
    typeof params[name] === 'string' && params[name] !== '' ? params[name] : null;
  const hashes = mode === 'balance-xor' || mode === '802.3ad' || mode === 'balance-tlb';
  return {
    mode,
    ...option('miimon', numberOf(params, 'bond_miimon')),
    ...option('upDelay', numberOf(params, 'bond_updelay')),
    ...option('downDelay', numberOf(params, 'bond_downdelay')),
    ...(mode === 'active-backup' && option('gratuitousArp', numberOf(params, 'bond_num_grat_arp'))),
    ...(mode === '802.3ad' && option('lacpRate', text('bond_lacp_rate'))),
    ...(hashes && option('hashPolicy', text('bond_xmit_hash_policy'))),
  };
}

function numberOf(params: JsonObject, key: string): number | null {
  const value = params[key];
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 ? number : null;
}

function refuseRepeated(interfaces: readonly Interface[]): void {
  const repeated = interfaces.find((one, index) =>
    interfaces.slice(0, index).some((earlier) => earlier.name === one.name || earlier.id === one.id),
  );
  if (repeated) throw refused(repeated, 'another interface has its name or number');
}

/** Two links that speak with one MAC take each other's answers. */
function refuseSharedMacs(links: readonly NicPlanEntry[]): void {
  const twin = links.find((link, index) => links.slice(0, index).some((earlier) => earlier.mac === link.mac));
  if (twin) throw refused(twin, `another interface has the MAC ${twin.mac}`);
}

/** A name that was too long may have become that of another. */
function refuseSharedNames(plan: NicPlan): void {
  const twin = plan.find((entry, index) => plan.slice(0, index).some(({ name }) => name === entry.name));
  if (twin)
    throw refused(twin, 'another interface has its name', 'rename one of the two, 15 characters at most');
}

function refused({ name }: Named, what: string, remedy?: string): ServiceError {
  return new ServiceError({
    code: 'network.interfaces',
    what: `interface ${name}: ${what}`,
    ...(remedy !== undefined && { remedy }),
  });
}
