import { isIPv4, isIPv6, BlockList } from 'node:net';
import {
  bondModes,
  parseMac,
  type BondMode,
  type JsonObject,
  type JsonValue,
} from '../../../plugin-api/index.ts';
import type { Interface, InterfaceLink, LinkMode } from './interface.ts';

/** A change of interfaces that cannot be; by field, in the words of MAAS's forms (`maasserver/forms/interface*.py`). */
export class InterfaceRefusal extends Error {
  readonly fields: Readonly<Record<string, readonly string[]>>;

  constructor(field: string, ...messages: readonly string[]) {
    super(`${field}: ${messages.join(' ')}`);
    this.fields = { [field]: messages };
  }
}

/** What the rules ask of VLANs and subnets; ids are the records' numbers. */
export interface InterfaceNetwork {
  vlanRecord(id: number): { readonly id: number; readonly fabric: number; readonly vid: number } | null;
  subnetRecord(id: number): {
    readonly id: number;
    readonly vlan: number;
    readonly cidr: string;
    readonly gateway_ip: string | null;
  } | null;
}

/** Numbers for what comes next: none is used again, even after its interface is gone. */
export interface NextNumbers {
  readonly interface: number;
  readonly link: number;
}

/** What every kind of interface can be told; undefined = not said. */
export interface InterfaceOrder {
  readonly name?: string | undefined;
  readonly mac?: string | undefined;
  /** Null = disconnected. */
  readonly vlan?: number | null | undefined;
  readonly parents?: readonly number[] | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly enabled?: boolean | undefined;
  /** `mtu`, `accept_ra`, `bond_*`, `bridge_*`, as they were sent. */
  readonly params?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface LinkOrder {
  readonly mode?: string | undefined;
  readonly subnet?: number | undefined;
  readonly address?: string | undefined;
  readonly force?: boolean | undefined;
}

const required = 'This field is required.';
const invalidChoice = (value: string | number): string =>
  `Select a valid choice. ${value} is not one of the available choices.`;
const namePattern = /^[\w.:-]{1,64}$/;

type ParamRule =
  | { readonly kind: 'choice'; readonly of: readonly string[]; readonly otherwise: string }
  | {
      readonly kind: 'number';
      readonly least: number;
      readonly most: number;
      readonly otherwise: number | null;
    }
  | { readonly kind: 'flag'; readonly otherwise: boolean | null };

const commonParams: Readonly<Record<string, ParamRule>> = {
  mtu: { kind: 'number', least: 552, most: 65_535, otherwise: null },
  accept_ra: { kind: 'flag', otherwise: null },
};

const bondParams = (mode: BondMode): Readonly<Record<string, ParamRule>> => ({
  bond_mode: { kind: 'choice', of: bondModes, otherwise: mode },
  bond_miimon: { kind: 'number', least: 0, most: 65_535, otherwise: 100 },
  bond_downdelay: { kind: 'number', least: 0, most: 65_535, otherwise: 0 },
  bond_updelay: { kind: 'number', least: 0, most: 65_535, otherwise: 0 },
  bond_num_grat_arp: { kind: 'number', least: 0, most: 255, otherwise: 1 },
  bond_lacp_rate: { kind: 'choice', of: ['fast', 'slow'], otherwise: 'fast' },
  bond_xmit_hash_policy: {
    kind: 'choice',
    of: ['layer2', 'layer2+3', 'layer3+4', 'encap2+3', 'encap3+4'],
    otherwise: 'layer2',
  },
});

const bridgeParams: Readonly<Record<string, ParamRule>> = {
  bridge_type: { kind: 'choice', of: ['standard', 'ovs'], otherwise: 'standard' },
  bridge_stp: { kind: 'flag', otherwise: false },
  bridge_fd: { kind: 'number', least: 0, most: 65_535, otherwise: 15 },
};

/** Highest numbers in use, where nobody remembers them. */
export function nextNumbers(interfaces: readonly Interface[], remembered: NextNumbers | null): NextNumbers {
  const after = (numbers: readonly number[]): number => Math.max(0, ...numbers) + 1;
  return {
    interface: Math.max(after(interfaces.map(({ id }) => id)), remembered?.interface ?? 1),
    link: Math.max(
      after(interfaces.flatMap(({ links }) => links.map(({ id }) => id))),
      remembered?.link ?? 1,
    ),
  };
}

/**
 * The interfaces of one machine while they are changed. A change that cannot be throws an {@link InterfaceRefusal} and
 * changes nothing. Kept at all times: parents are there and in no circle; names and numbers are unique; a NIC is in one bond or bridge at most, has no
 * links then, and shares the VLAN of its bond.
 */
export class InterfaceModel {
  #interfaces: readonly Interface[];
  #next: NextNumbers;
  readonly #network: InterfaceNetwork;
  readonly #bondMode: BondMode;

  constructor(parts: {
    readonly interfaces: readonly Interface[];
    readonly numbers: NextNumbers | null;
    readonly network: InterfaceNetwork;
    /** Of a bond without one: MAAS takes the first of its list, which needs a switch that is set up for it. */
    readonly defaultBondMode: 'active-backup' | 'balance-rr';
  }) {
    this.#interfaces = parts.interfaces;
    this.#next = nextNumbers(parts.interfaces, parts.numbers);
    this.#network = parts.network;
    this.#bondMode = parts.defaultBondMode;
  }

  get interfaces(): readonly Interface[] {
    return this.#interfaces;
  }

  get numbers(): NextNumbers {
    return this.#next;
  }

  find(id: number): Interface | null {
    return this.#interfaces.find((one) => one.id === id) ?? null;
  }

  createPhysical(order: InterfaceOrder): Interface {
    if (order.mac === undefined) throw new InterfaceRefusal('mac_address', required);
    return this.#add({
      kind: 'physical',
      name: this.#name(order.name ?? this.#freeName()),
      mac: this.#nicMac(order.mac, null),
      vlan: this.#vlan(order.vlan ?? null),
      parents: [],
      enabled: order.enabled ?? true,
      tags: order.tags ?? [],
      params: readParams(commonParams, order.params, {}),
    });
  }

  createBond(order: InterfaceOrder): Interface {
    if (order.name === undefined) throw new InterfaceRefusal('name', required);
    const parents = this.#bondParents(order.parents ?? [], null);
    return this.#add({
      kind: 'bond',
      name: this.#name(order.name),
      mac: order.mac === undefined ? parents[0]!.mac : validMac(order.mac),
      vlan: order.vlan === undefined ? parents[0]!.vlan : this.#vlan(order.vlan),
      parents: parents.map(({ id }) => id),
      enabled: order.enabled ?? true,
      tags: order.tags ?? [],
      params: readParams({ ...bondParams(this.#bondMode), ...commonParams }, order.params, {}),
    });
  }

  createVlan(order: InterfaceOrder): Interface {
    if (order.vlan === undefined || order.vlan === null) throw new InterfaceRefusal('vlan', required);
    const parent = this.#vlanParent(order.parents ?? []);
    const vlan = this.#taggedVlan(order.vlan, parent);
    return this.#add({
      kind: 'vlan',
      name: this.#name(`${parent.name}.${vlan.vid}`),
      mac: parent.mac,
      vlan: vlan.id,
      parents: [parent.id],
      enabled: order.enabled ?? true,
      tags: order.tags ?? [],
      params: readParams(commonParams, order.params, {}),
    });
  }

  createBridge(order: InterfaceOrder): Interface {
    const parent = this.#bridgeParent(order.parents ?? []);
    return this.#add({
      kind: 'bridge',
      name: this.#name(order.name ?? `br-${parent.name}`),
      mac: order.mac === undefined ? parent.mac : validMac(order.mac),
      vlan: order.vlan === undefined ? parent.vlan : this.#vlan(order.vlan),
      parents: [parent.id],
      enabled: order.enabled ?? true,
      tags: order.tags ?? [],
      params: readParams({ ...bridgeParams, ...commonParams }, order.params, {}),
    });
  }

  update(id: number, order: InterfaceOrder): Interface {
    const one = this.#require(id);
    const parents = order.parents === undefined ? one.parents : this.#newParents(one, order.parents);
    const wantedVlan = order.vlan === undefined ? one.vlan : this.#updatedVlan(one, order.vlan, parents);
    const holder = this.#holderOf(id);
    if (holder && wantedVlan !== one.vlan)
      throw new InterfaceRefusal(
        'vlan',
        `Cannot change the VLAN of interface(${one.name}) when interface is in a ${holder.kind}(${holder.name}).`,
      );
    const name = order.name === undefined || one.kind === 'vlan' ? one.name : this.#name(order.name, one.id);
    const changed: Interface = {
      ...one,
      name: one.kind === 'vlan' ? this.#vlanName(one, parents[0]!, wantedVlan) : name,
      mac:
        order.mac === undefined
          ? one.mac
          : one.kind === 'physical'
            ? this.#nicMac(order.mac, one.id)
            : validMac(order.mac),
      parents,
      enabled: order.enabled ?? one.enabled,
      tags: order.tags ?? one.tags,
      params: readParams(this.#rulesOf(one.kind), order.params, one.params),
    };
    this.#put(changed);
    this.#moveTo(id, wantedVlan);
    this.#settle();
    return this.#require(id);
  }

  /** What only stood on it goes with it. */
  delete(id: number): void {
    this.#require(id);
    const gone = new Set([id]);
    for (let before = -1; before !== gone.size;) {
      before = gone.size;
      for (const { id: child, parents } of this.#interfaces)
        if (parents.length > 0 && parents.every((parent) => gone.has(parent))) gone.add(child);
    }
    this.#interfaces = this.#interfaces
      .filter((one) => !gone.has(one.id))
      .map((one) => ({ ...one, parents: one.parents.filter((parent) => !gone.has(parent)) }));
    this.#settle();
  }

  linkSubnet(id: number, order: LinkOrder): Interface {
    const one = this.#require(id);
    const mode = modeOf(order.mode);
    const bond = this.#holderOf(id);
    if (bond)
      throw new InterfaceRefusal(
        bond.kind,
        `Cannot link interface(${one.name}) when interface is in a ${bond.kind}(${bond.name}).`,
      );
    const subnet = this.#subnetToLink(one, mode, order);
    const address = mode === 'static' ? staticAddress(order.address, subnet!.cidr) : null;
    const clear = order.force === true || mode === 'link_up';
    const dhcp = one.links.find((link) => link.mode === 'dhcp');
    if (!clear && mode === 'dhcp' && dhcp) {
      const from = dhcp.subnet === null ? null : this.#network.subnetRecord(dhcp.subnet);
      throw new InterfaceRefusal('mode', `Interface is already set to DHCP from '${from?.cidr ?? 'None'}'.`);
    }
    const taken = this.#interfaces.flatMap(({ links }) => links).find((link) => link.address === address);
    if (address !== null && taken) throw new InterfaceRefusal('ip_address', `IP address is already in use.`);
    // The move first: it drops the links of the VLAN that is left.
    if (subnet && subnet.vlan !== one.vlan) this.#moveTo(id, subnet.vlan);
    const before = this.#require(id);
    const kept = clear ? [] : before.links.filter((link) => link.mode !== 'link_up');
    const link: InterfaceLink = { id: this.#takeLink(), mode, subnet: subnet?.id ?? null, address };
    this.#put({ ...before, links: [...kept, link] });
    return this.#require(id);
  }

  unlinkSubnet(id: number, link: number | undefined): Interface {
    const one = this.#require(id);
    if (link === undefined) throw new InterfaceRefusal('id', required);
    if (!one.links.some((each) => each.id === link)) {
      const there = one.links.map((each) => `'${each.id}'`).join(', ');
      throw new InterfaceRefusal('id', `'${link}' is not a valid id.  It should be one of: ${there}.`);
    }
    this.#put({ ...one, links: one.links.filter((each) => each.id !== link) });
    this.#settle();
    return this.#require(id);
  }

  disconnect(id: number): Interface {
    const one = this.#require(id);
    const holder = this.#holderOf(id);
    if (holder)
      throw new InterfaceRefusal(
        holder.kind,
        `Cannot disconnect interface(${one.name}) when interface is in a ${holder.kind}(${holder.name}).`,
      );
    if (one.kind === 'vlan')
      throw new InterfaceRefusal('vlan', 'A VLAN interface can only belong to a tagged VLAN.');
    this.#put({ ...one, links: [] });
    this.#moveTo(id, null);
    return this.#require(id);
  }

  /** The link through which the machine's default route goes, and the family of its subnet. */
  defaultGateway(id: number, link: number | undefined): { readonly link: number; readonly family: 4 | 6 } {
    const usable = this.#require(id).links.flatMap((each) => {
      const gateway = each.subnet === null ? null : this.#network.subnetRecord(each.subnet)?.gateway_ip;
      return gateway ? [{ link: each.id, family: isIPv6(gateway) ? (6 as const) : (4 as const) }] : [];
    });
    if (usable.length === 0) throw new InterfaceRefusal('__all__', 'This interface has no usable gateways.');
    if (link === undefined) {
      if (usable.length === 1) return usable[0]!;
      throw new InterfaceRefusal(
        'link_id',
        'This field is required; Interface has more than one usable gateway.',
      );
    }
    const found = usable.find((each) => each.link === link);
    if (found) return found;
    const there = usable.map((each) => `'${each.link}'`).join(', ');
    throw new InterfaceRefusal('link_id', `'${link}' is not a valid id.  It should be one of: ${there}.`);
  }

  addTag(id: number, tag: string): Interface {
    const one = this.#require(id);
    this.#put({ ...one, tags: [...new Set([...one.tags, tag])] });
    return this.#require(id);
  }

  removeTag(id: number, tag: string): Interface {
    const one = this.#require(id);
    this.#put({ ...one, tags: one.tags.filter((each) => each !== tag) });
    return this.#require(id);
  }

  // ---- what is there ---------------------------------------------------------------------------------------------

  #require(id: number): Interface {
    const found = this.find(id);
    if (!found) throw new InterfaceRefusal('id', invalidChoice(id));
    return found;
  }

  /** The bond or bridge that the interface is in, if any. */
  #holderOf(id: number, except: number | null = null): Interface | null {
    const holds = (one: Interface): boolean =>
      one.id !== except && (one.kind === 'bond' || one.kind === 'bridge') && one.parents.includes(id);
    return this.#interfaces.find(holds) ?? null;
  }

  #freeName(): string {
    for (let i = 0; ; i += 1) if (!this.#interfaces.some(({ name }) => name === `eth${i}`)) return `eth${i}`;
  }

  // ---- what is asked for -----------------------------------------------------------------------------------------

  #name(name: string, of: number | null = null): string {
    if (!namePattern.test(name)) throw new InterfaceRefusal('name', 'Enter a valid value.');
    if (this.#interfaces.some((one) => one.name === name && one.id !== of))
      throw new InterfaceRefusal('name', `Node already has an interface named '${name}'.`);
    return name;
  }

  #nicMac(text: string, of: number | null): string {
    const mac = validMac(text);
    const same = (one: Interface): boolean =>
      one.kind === 'physical' && one.id !== of && one.mac.toLowerCase() === mac.toLowerCase();
    if (this.#interfaces.some(same))
      throw new InterfaceRefusal('mac_address', 'This MAC address is already in use by this machine.');
    return mac;
  }

  #vlan(id: number | null): number | null {
    if (id !== null && !this.#network.vlanRecord(id))
      throw new InterfaceRefusal(
        'vlan',
        'Select a valid choice. That choice is not one of the available choices.',
      );
    return id;
  }

  #taggedVlan(id: number, parent: Interface): { readonly id: number; readonly vid: number } {
    this.#vlan(id);
    const vlan = this.#network.vlanRecord(id)!;
    const below = parent.vlan === null ? null : this.#network.vlanRecord(parent.vlan);
    if (vlan.vid === 0)
      throw new InterfaceRefusal('vlan', 'A VLAN interface can only belong to a tagged VLAN.');
    if (below && below.fabric !== vlan.fabric)
      throw new InterfaceRefusal(
        'vlan',
        'A VLAN interface can only belong to a tagged VLAN on the same fabric as its parent interface.',
      );
    return vlan;
  }

  #vlanName(one: Interface, parent: number, vlan: number | null): string {
    const name = `${this.#require(parent).name}.${this.#network.vlanRecord(vlan!)!.vid}`;
    return this.#name(name, one.id);
  }

  #updatedVlan(one: Interface, vlan: number | null, parents: readonly number[]): number | null {
    if (one.kind !== 'vlan') return this.#vlan(vlan);
    if (vlan === null)
      throw new InterfaceRefusal('vlan', 'A VLAN interface can only belong to a tagged VLAN.');
    return this.#taggedVlan(vlan, this.#require(parents[0]!)).id;
  }

  #newParents(one: Interface, parents: readonly number[]): readonly number[] {
    const circle = parents.find((parent) => parent === one.id || this.#standsOn(parent, one.id));
    if (circle !== undefined) throw new InterfaceRefusal('parents', invalidChoice(circle));
    switch (one.kind) {
      case 'physical':
        if (parents.length === 0) return [];
        throw new InterfaceRefusal('parents', 'A physical interface cannot have parents.');
      case 'bond':
        return this.#bondParents(parents, one.id).map(({ id }) => id);
      case 'vlan':
        return [this.#vlanParent(parents).id];
      case 'bridge':
        return [this.#bridgeParent(parents, one.id).id];
    }
  }

  #standsOn(id: number, below: number): boolean {
    return (this.find(id)?.parents ?? []).some((parent) => parent === below || this.#standsOn(parent, below));
  }

  #bondParents(ids: readonly number[], bond: number | null): readonly Interface[] {
    const parents = this.#parents(ids);
    if (parents.length === 0)
      throw new InterfaceRefusal('parents', 'A bond interface must have one or more parents.');
    if (parents.some(({ kind }) => kind !== 'physical'))
      throw new InterfaceRefusal('parents', 'Only physical interfaces can be bonded.');
    const used = parents.filter(({ id }) =>
      this.#interfaces.some((one) => one.id !== bond && one.parents.includes(id)),
    );
    if (used.length > 0)
      throw new InterfaceRefusal(
        'parents',
        `Interfaces already in-use: ${used.map(({ name }) => name).join(', ')}.`,
      );
    if (new Set(parents.map(({ vlan }) => vlan)).size > 1)
      throw new InterfaceRefusal('parents', 'All parents must belong to the same VLAN.');
    return parents;
  }

  #vlanParent(ids: readonly number[]): Interface {
    const [parent, another] = this.#parents(ids);
    if (!parent || another)
      throw new InterfaceRefusal('parents', 'A VLAN interface must have exactly one parent.');
    if (parent.kind === 'vlan')
      throw new InterfaceRefusal('parents', "VLAN interface can't have another VLAN interface as parent.");
    const holder = this.#holderOf(parent.id);
    if (holder)
      throw new InterfaceRefusal(
        'parents',
        `A VLAN interface can't have a parent that is already in a ${holder.kind}.`,
      );
    return parent;
  }

  #bridgeParent(ids: readonly number[], bridge: number | null = null): Interface {
    const [parent, another] = this.#parents(ids);
    if (!parent || another)
      throw new InterfaceRefusal('parents', 'A bridge interface must have exactly one parent.');
    if (parent.kind === 'bridge')
      throw new InterfaceRefusal(
        'parents',
        "A bridge interface can't have another bridge interface as parent.",
      );
    const holder = this.#holderOf(parent.id, bridge);
    if (holder)
      throw new InterfaceRefusal(
        'parents',
        `A bridge interface can't have a parent that is already in a ${holder.kind}.`,
      );
    return parent;
  }

  #parents(ids: readonly number[]): readonly Interface[] {
    return [...new Set(ids)].map((id) => {
      const parent = this.find(id);
      if (!parent) throw new InterfaceRefusal('parents', invalidChoice(id));
      return parent;
    });
  }

  #subnetToLink(
    one: Interface,
    mode: LinkMode,
    { subnet: id, force }: LinkOrder,
  ): ReturnType<InterfaceNetwork['subnetRecord']> {
    if (id === undefined) {
      if (mode === 'static' || mode === 'auto') throw new InterfaceRefusal('subnet', required);
      return null;
    }
    const subnet = this.#network.subnetRecord(id);
    const wrong = 'Select a valid choice. That choice is not one of the available choices.';
    if (!subnet) throw new InterfaceRefusal('subnet', wrong);
    if (subnet.vlan === one.vlan) return subnet;
    // Which VLAN a tagged interface carries is its own kind and name: no link moves it.
    if ((one.vlan !== null && force !== true) || one.kind === 'vlan')
      throw new InterfaceRefusal('subnet', wrong);
    return subnet;
  }

  #rulesOf(kind: Interface['kind']): Readonly<Record<string, ParamRule>> {
    if (kind === 'bond') return { ...bondParams(this.#bondMode), ...commonParams };
    return kind === 'bridge' ? { ...bridgeParams, ...commonParams } : commonParams;
  }

  // ---- changes ---------------------------------------------------------------------------------------------------

  #add(one: Omit<Interface, 'id' | 'links'>): Interface {
    const id = this.#next.interface;
    this.#next = { ...this.#next, interface: id + 1 };
    this.#interfaces = [...this.#interfaces, { ...one, id, links: [] }];
    this.#moveTo(id, one.vlan);
    this.#settle();
    return this.#require(id);
  }

  #put(changed: Interface): void {
    this.#interfaces = this.#interfaces.map((one) => (one.id === changed.id ? changed : one));
  }

  #takeLink(): number {
    const id = this.#next.link;
    this.#next = { ...this.#next, link: id + 1 };
    return id;
  }

  /** Into a VLAN, with the members of a bond; links of another VLAN's subnets stay behind. */
  #moveTo(id: number, vlan: number | null): void {
    const one = this.#require(id);
    const fits = (link: InterfaceLink): boolean =>
      vlan !== null && (link.subnet === null || this.#network.subnetRecord(link.subnet)?.vlan === vlan);
    this.#put({ ...one, vlan, links: one.links.filter(fits) });
    if (one.kind === 'bond') for (const parent of one.parents) this.#moveTo(parent, vlan);
  }

  /**
   * What follows from any change: members of a bond or bridge have no links of their own, a connected interface has at least one, names and
   * VLANs of what stands on another follow it.
   */
  #settle(): void {
    for (const { id } of this.#interfaces) {
      const one = this.#require(id);
      const held = this.#holderOf(id) !== null;
      if (held && one.links.length > 0) this.#put({ ...one, links: [] });
      else if (!held && one.links.length === 0 && one.vlan !== null)
        this.#put({
          ...one,
          links: [{ id: this.#takeLink(), mode: 'link_up', subnet: null, address: null }],
        });
    }
    for (const one of this.#interfaces) {
      if (one.kind !== 'vlan') continue;
      const name = `${this.#require(one.parents[0]!).name}.${this.#network.vlanRecord(one.vlan!)?.vid ?? 0}`;
      if (name !== one.name && !this.#interfaces.some((other) => other.name === name))
        this.#put({ ...one, name });
    }
  }
}

function modeOf(text: string | undefined): LinkMode {
  if (text === undefined || text === '') throw new InterfaceRefusal('mode', required);
  const mode = text.toLowerCase();
  if (mode === 'auto' || mode === 'dhcp' || mode === 'static' || mode === 'link_up') return mode;
  throw new InterfaceRefusal('mode', invalidChoice(text));
}

function staticAddress(text: string | undefined, cidr: string): string {
  if (text === undefined || text === '') throw new InterfaceRefusal('ip_address', required);
  const family = isIPv4(text) ? 'ipv4' : isIPv6(text) ? 'ipv6' : null;
  if (family === null) throw new InterfaceRefusal('ip_address', 'Enter a valid IPv4 or IPv6 address.');
  const [base = '', prefix = ''] = cidr.split('/');
  const list = new BlockList();
  const sameFamily = (isIPv4(base) ? 'ipv4' : 'ipv6') === family;
  if (sameFamily) list.addSubnet(base, Number(prefix), family);
  if (!sameFamily || !list.check(text, family))
    throw new InterfaceRefusal('ip_address', `IP address is not in the given subnet '${cidr}'.`);
  return text;
}

/** In the author's own spelling. */
function validMac(text: string): string {
  const mac = text.trim();
  try {
    parseMac(mac);
  } catch {
    // Clients' own tests use group addresses: what goes onto a machine is checked when it is deployed.
    if (!/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/.test(mac))
      throw new InterfaceRefusal('mac_address', `'${text}' is not a valid MAC address.`);
  }
  return mac;
}

function readParams(
  rules: Readonly<Record<string, ParamRule>>,
  given: InterfaceOrder['params'] = {},
  before: JsonObject,
): JsonObject {
  const values: Record<string, JsonValue> = {};
  for (const [name, rule] of Object.entries(rules)) {
    const text = Object.hasOwn(given, name) ? given[name] : undefined;
    const value = text === undefined || text === '' ? undefined : readParam(name, rule, text);
    const chosen = value ?? before[name] ?? rule.otherwise;
    if (chosen !== null) values[name] = chosen;
  }
  return values;
}

function readParam(name: string, rule: ParamRule, text: string): JsonValue {
  switch (rule.kind) {
    case 'choice':
      if (!rule.of.includes(text)) throw new InterfaceRefusal(name, invalidChoice(text));
      return text;
    case 'number': {
      if (!/^-?\d{1,9}$/.test(text)) throw new InterfaceRefusal(name, 'Enter a whole number.');
      const number = Number(text);
      if (number < rule.least)
        throw new InterfaceRefusal(name, `Ensure this value is greater than or equal to ${rule.least}.`);
      if (number > rule.most)
        throw new InterfaceRefusal(name, `Ensure this value is less than or equal to ${rule.most}.`);
      return number;
    }
    case 'flag':
      return /^(1|t|true|y|yes|on)$/i.test(text);
  }
}
