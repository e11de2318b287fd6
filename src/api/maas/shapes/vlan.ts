import type { VlanRecord } from '../../../core/network/network-records.ts';
import { apiRoot } from './resource-uri.ts';

/** A VLAN as MAAS tells it. */
export interface VlanJson {
  readonly id: number;
  readonly vid: number;
  readonly name: string;
  readonly fabric: string;
  readonly fabric_id: number;
  readonly mtu: number;
  readonly dhcp_on: boolean;
  readonly external_dhcp: string | null;
  readonly relay_vlan: VlanJson | null;
  readonly primary_rack: string | null;
  readonly secondary_rack: string | null;
  readonly space: string;
  readonly resource_uri: string;
}

/** What the VLAN's record only has numbers of. */
export interface VlanSurroundings {
  /** Name of its fabric. */
  readonly fabric: string;
  /** Name of its space, or null. */
  readonly space: string | null;
  readonly relayVlan: VlanJson | null;
  /** System id of the rack controller that serves DHCP, or null. */
  readonly primaryRack: string | null;
}

export function vlanJson(vlan: VlanRecord, around: VlanSurroundings): VlanJson {
  return {
    id: vlan.id,
    vid: vlan.vid,
    // MAAS's own default: the number, or "untagged".
    name: vlan.name || (vlan.vid === 0 ? 'untagged' : String(vlan.vid)),
    fabric: around.fabric,
    fabric_id: vlan.fabric,
    mtu: vlan.mtu,
    dhcp_on: vlan.dhcp_on,
    external_dhcp: null,
    relay_vlan: around.relayVlan,
    primary_rack: vlan.dhcp_on ? around.primaryRack : null,
    secondary_rack: null,
    space: around.space ?? 'undefined',
    resource_uri: `${apiRoot}/vlans/${vlan.id}/`,
  };
}
