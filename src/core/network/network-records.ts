import type { JsonObject } from '../../../plugin-api/index.ts';
import type { StoredRecord } from '../storage/stored-record.ts';

/** VLAN 0 of a fabric is what its ports carry untagged: the provisioning side where the switches provision on their default VLAN. */
export const untaggedVid = 0;

/** A fabric as it is stored; the record's name is the fabric's. */
export interface FabricRecord {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly class_type: string | null;
}

/** A VLAN of a fabric; a field is called as MAAS calls it. */
export interface VlanRecord {
  readonly id: number;
  /** Number of the fabric's record. */
  readonly fabric: number;
  /** 0 to 4094; 0 = untagged. */
  readonly vid: number;
  /** Empty = it is called by its number. */
  readonly name: string;
  readonly description: string;
  readonly mtu: number;
  /** Whether our provisioning network answers DHCP there. */
  readonly dhcp_on: boolean;
  /** Number of the space's record, or null. */
  readonly space: number | null;
  /** Number of another VLAN's record that DHCP is relayed to, or null. */
  readonly relay_vlan: number | null;
}

/** A subnet of a VLAN. */
export interface SubnetRecord {
  readonly id: number;
  /** Number of the VLAN's record. */
  readonly vlan: number;
  readonly cidr: string;
  readonly name: string;
  readonly gateway_ip: string | null;
  readonly dns_servers: readonly string[];
}

/** Unique among VLANs: `<number of the fabric>/<vid>`. */
export function vlanRecordName(fabric: number, vid: number): string {
  return `${fabric}/${vid}`;
}

export function toFabric({ id, name, body }: StoredRecord): FabricRecord {
  return {
    id,
    name: name ?? '',
    description: text(body, 'description'),
    class_type: typeof body['class_type'] === 'string' ? body['class_type'] : null,
  };
}

export function toVlan({ id, body }: StoredRecord): VlanRecord {
  return {
    id,
    fabric: number(body, 'fabric') ?? 0,
    vid: number(body, 'vid') ?? untaggedVid,
    name: text(body, 'name'),
    description: text(body, 'description'),
    mtu: number(body, 'mtu') ?? 1500,
    dhcp_on: body['dhcp_on'] === true,
    space: number(body, 'space'),
    relay_vlan: number(body, 'relay_vlan'),
  };
}

export function toSubnet({ id, body }: StoredRecord): SubnetRecord {
  const cidr = text(body, 'cidr');
  const servers = body['dns_servers'];
  return {
    id,
    vlan: number(body, 'vlan') ?? 0,
    cidr,
    name: text(body, 'name') || cidr,
    gateway_ip: typeof body['gateway_ip'] === 'string' ? body['gateway_ip'] : null,
    dns_servers: Array.isArray(servers) ? servers.map(String) : [],
  };
}

function text(body: JsonObject, key: string): string {
  const value = body[key];
  return typeof value === 'string' ? value : '';
}

function number(body: JsonObject, key: string): number | null {
  const value = body[key];
  return typeof value === 'number' ? value : null;
}
