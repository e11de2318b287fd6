import type { JsonObject } from '../../../plugin-api/index.ts';
import type { Machine } from '../machine/machine.ts';

/** How an interface gets its address: by DHCP, a fixed one, one that we choose (`auto`: served as DHCP here), or none. */
export type LinkMode = 'dhcp' | 'static' | 'auto' | 'link_up';

/** One address of an interface. */
export interface InterfaceLink {
  /** Unique within the machine, never used again. */
  readonly id: number;
  readonly mode: LinkMode;
  /** Number of the subnet's record; null only for `link_up`, or DHCP on an unknown one. */
  readonly subnet: number | null;
  /** Only for `static`. */
  readonly address: string | null;
}

/** An interface of a machine: a NIC, or a bond, VLAN or bridge on top of others. */
export interface Interface {
  /** Unique within the machine, from 1, never used again. */
  readonly id: number;
  readonly kind: 'physical' | 'bond' | 'vlan' | 'bridge';
  readonly name: string;
  /** As its author wrote it: clients expect their own spelling back. Compare by `parseMac`. */
  readonly mac: string;
  /** Number of the VLAN's record: untagged on a NIC, bond or bridge, tagged on a VLAN interface. Null = disconnected. */
  readonly vlan: number | null;
  /** Ids of the interfaces below. */
  readonly parents: readonly number[];
  readonly enabled: boolean;
  readonly tags: readonly string[];
  /** `bond_mode` and its kin, `mtu`, `accept_ra`: as MAAS names them. */
  readonly params: JsonObject;
  readonly links: readonly InterfaceLink[];
}

/** The interfaces of a machine about which nobody has said anything: its NICs, of which the first takes DHCP. */
export function inventoriedInterfaces(
  machine: Pick<Machine, 'nics'>,
  bootVlan: number | null,
  bootSubnet: number | null,
): readonly Interface[] {
  return machine.nics.map((nic, index): Interface => ({
    id: index + 1,
    kind: 'physical',
    name: nic.name,
    mac: nic.mac,
    vlan: bootVlan,
    parents: [],
    enabled: true,
    tags: [],
    params: {},
    links: [
      index === 0
        ? { id: index + 1, mode: 'auto', subnet: bootSubnet, address: null }
        : { id: index + 1, mode: 'link_up', subnet: null, address: null },
    ],
  }));
}

/** What an interface has where nobody says another: MAAS's own. */
const usualMtu = 1500;

/**
 * The MTU of each interface, by its number: its own, else that of its VLAN, and never less than what stands on it has, which could not have it
 * then (MAAS: `Interface.get_effective_mtu`).
 * @param interfaces those of a machine that count
 */
export function effectiveMtus(
  interfaces: readonly Interface[],
  mtuOfVlan: (vlan: number) => number | undefined,
): ReadonlyMap<number, number> {
  const children = new Map<number, Interface[]>();
  for (const one of interfaces)
    for (const parent of one.parents) children.set(parent, [...(children.get(parent) ?? []), one]);
  const known = new Map<number, number>();
  const mtuOf = (one: Interface): number => {
    const before = known.get(one.id);
    if (before !== undefined) return before;
    const own = one.params['mtu'];
    const said = typeof own === 'number' ? own : one.vlan === null ? undefined : mtuOfVlan(one.vlan);
    // Known before what stands on it is asked: interfaces that stand on each other in a circle are refused elsewhere.
    known.set(one.id, said ?? usualMtu);
    const mtu = Math.max(said ?? usualMtu, ...(children.get(one.id) ?? []).map(mtuOf));
    known.set(one.id, mtu);
    return mtu;
  };
  interfaces.forEach(mtuOf);
  return known;
}
