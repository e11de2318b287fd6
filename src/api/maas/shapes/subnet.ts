import type { JsonObject } from '../../../../plugin-api/index.ts';
import type { SubnetRecord } from '../../../core/network/network-records.ts';
import { apiRoot } from './resource-uri.ts';
import type { VlanJson } from './vlan.ts';

/** A subnet as MAAS tells it. */
export interface SubnetJson {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly vlan: VlanJson;
  readonly space: string;
  readonly cidr: string;
  readonly gateway_ip: string | null;
  readonly dns_servers: readonly string[];
  readonly rdns_mode: number;
  readonly active_discovery: boolean;
  readonly allow_dns: boolean;
  readonly allow_proxy: boolean;
  readonly managed: boolean;
  readonly disabled_boot_architectures: readonly string[];
  readonly resource_uri: string;
}

/** @param kept the record's body: what we only keep for clients stands there by MAAS's names */
export function subnetJson(subnet: SubnetRecord, vlan: VlanJson, kept: JsonObject): SubnetJson {
  const text = (key: string): string => (typeof kept[key] === 'string' ? kept[key] : '');
  const flag = (key: string, otherwise: boolean): boolean =>
    typeof kept[key] === 'boolean' ? kept[key] : otherwise;
  const architectures = kept['disabled_boot_architectures'];
  return {
    id: subnet.id,
    name: subnet.name,
    description: text('description'),
    vlan,
    space: vlan.space,
    cidr: subnet.cidr,
    gateway_ip: subnet.gateway_ip,
    dns_servers: subnet.dns_servers,
    rdns_mode: typeof kept['rdns_mode'] === 'number' ? kept['rdns_mode'] : 2,
    active_discovery: flag('active_discovery', false),
    allow_dns: flag('allow_dns', true),
    allow_proxy: flag('allow_proxy', true),
    managed: flag('managed', true),
    disabled_boot_architectures: Array.isArray(architectures) ? architectures.map(String) : [],
    resource_uri: `${apiRoot}/subnets/${subnet.id}/`,
  };
}
