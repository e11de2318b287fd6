import type { JsonObject, NicFacts } from '../../../../plugin-api/index.ts';
import { effectiveMtus, type Interface, type InterfaceLink } from '../../../core/network/interface.ts';
import { sharedText, withFields } from '../json-text.ts';
import type { NetworkLookup } from '../network-lookup.ts';
import { apiRoot } from './resource-uri.ts';
import type { SubnetJson } from './subnet.ts';
import type { VlanJson } from './vlan.ts';

/** An address of an interface: what it does not have is left out, since clients take an object or nothing. */
export interface LinkJson {
  readonly id: number;
  readonly mode: string;
  readonly ip_address?: string;
  readonly subnet?: SubnetJson;
}

/** An interface as MAAS tells it. */
export interface InterfaceJson {
  readonly system_id: string;
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly mac_address: string;
  readonly enabled: boolean;
  readonly vlan: VlanJson | null;
  readonly parents: readonly string[];
  readonly children: readonly string[];
  readonly tags: readonly string[];
  readonly links: readonly LinkJson[];
  readonly params: JsonObject | '';
  readonly discovered: readonly never[] | null;
  readonly effective_mtu: number;
  readonly vendor: string | null;
  readonly product: string | null;
  readonly firmware_version: string | null;
  readonly link_connected: boolean;
  readonly interface_speed: number;
  readonly link_speed: number;
  readonly numa_node: number | null;
  readonly sriov_max_vf: number;
  readonly resource_uri: string;
}

type Network = Pick<NetworkLookup, 'vlan' | 'subnet'>;

/** All interfaces of a machine, in order of their numbers. */
export function interfacesJson(
  systemId: string,
  interfaces: readonly Interface[],
  nics: readonly NicFacts[],
  network: Network,
): readonly InterfaceJson[] {
  const names = new Map(interfaces.map(({ id, name }) => [id, name]));
  const mtus = effectiveMtus(interfaces, (id) => network.vlan(id)?.mtu);
  const children = new Map<number, string[]>();
  for (const { name, parents } of interfaces)
    for (const parent of parents) children.set(parent, [...(children.get(parent) ?? []), name].sort());
  return interfaces.map((one): InterfaceJson => {
    const nic = one.kind === 'physical' ? nics.find(({ mac }) => mac === one.mac.toLowerCase()) : undefined;
    const vlan = one.vlan === null ? null : network.vlan(one.vlan);
    return {
      system_id: systemId,
      id: one.id,
      name: one.name,
      type: one.kind,
      mac_address: one.mac,
      enabled: one.enabled,
      vlan,
      parents: one.parents.flatMap((parent) => names.get(parent) ?? []).sort(),
      children: children.get(one.id) ?? [],
      tags: one.tags,
      links: one.links.map((link) => linkJson(link, network)),
      // MAAS itself has an empty text where nothing was ever said.
      params: Object.keys(one.params).length === 0 ? '' : one.params,
      discovered: one.kind === 'physical' ? [] : null,
      effective_mtu: mtus.get(one.id)!,
      vendor: null,
      product: null,
      firmware_version: null,
      link_connected: nic?.linkUp ?? true,
      interface_speed: nic?.speedMbps ?? 0,
      link_speed: nic?.linkUp ? (nic.speedMbps ?? 0) : 0,
      numa_node: one.kind === 'physical' ? 0 : null,
      sriov_max_vf: 0,
      resource_uri: `${apiRoot}/nodes/${systemId}/interfaces/${one.id}/`,
    };
  });
}

/** An interface as text: VLANs and subnets are the same for many, and composed once. */
export function interfaceText({ vlan, links, ...own }: InterfaceJson): string {
  return withFields(own, { vlan: sharedText(vlan), links: `[${links.map(linkText).join(',')}]` });
}

function linkText({ subnet, ...own }: LinkJson): string {
  return subnet ? withFields(own, { subnet: sharedText(subnet) }) : JSON.stringify(own);
}

function linkJson({ id, mode, subnet, address }: InterfaceLink, network: Network): LinkJson {
  const found = subnet === null ? null : network.subnet(subnet);
  return {
    id,
    mode,
    ...(address !== null && { ip_address: address }),
    ...(found && { subnet: found }),
  };
}
