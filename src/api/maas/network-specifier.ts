import { isIP } from 'node:net';
import type { Interface } from '../../core/network/interface.ts';
import type { NetworkLookup } from './network-lookup.ts';

/** A number, `kind:value`, or a bare name. */
function specifier(spec: string): { readonly kind: string | null; readonly value: string } {
  const match = /^(id|name|vid|cidr|fabric|space):(.*)$/.exec(spec);
  return match ? { kind: match[1]!, value: match[2]! } : { kind: null, value: spec };
}

export function fabricOf(network: NetworkLookup, one: Interface): ReturnType<NetworkLookup['fabricRecord']> {
  const vlan = one.vlan === null ? null : network.vlanRecord(one.vlan);
  return vlan && network.fabricRecord(vlan.fabric);
}

export function isOnFabric(network: NetworkLookup, one: Interface, spec: string): boolean {
  const fabric = fabricOf(network, one);
  const { value } = specifier(spec);
  return (
    fabric !== null &&
    (fabric.name === value || String(fabric.id) === value || `fabric-${fabric.id}` === value)
  );
}

export function isOnVlan(network: NetworkLookup, one: Interface, spec: string): boolean {
  const vlan = one.vlan === null ? null : network.vlanRecord(one.vlan);
  if (!vlan) return false;
  const { kind, value } = specifier(spec);
  if (kind === 'vid') return String(vlan.vid) === value;
  if (kind === 'fabric') return isOnFabric(network, one, value);
  if (kind === 'space') return isInSpace(network, one, value);
  return vlan.name === value || String(vlan.id) === value;
}

export function isOnSubnet(network: NetworkLookup, one: Interface, spec: string): boolean {
  const { kind, value } = specifier(spec);
  if (kind === 'fabric') return isOnFabric(network, one, value);
  if (kind === 'vid') return isOnVlan(network, one, spec);
  if (kind === 'space') return isInSpace(network, one, value);
  return one.links.some(({ subnet: id }) => {
    const subnet = id === null ? null : network.subnetRecord(id);
    if (!subnet) return false;
    return (
      subnet.cidr === value || subnet.name === value || (isIP(value) === 0 && String(subnet.id) === value)
    );
  });
}

export function isInSpace(network: NetworkLookup, one: Interface, spec: string): boolean {
  const vlan = one.vlan === null ? null : network.vlanRecord(one.vlan);
  if (!vlan) return false;
  const name = vlan.space === null ? 'undefined' : network.spaceName(vlan.space);
  return name === spec || (vlan.space !== null && String(vlan.space) === spec);
}
