import type { Device } from '../device.ts';
import type { Surroundings } from '../surroundings.ts';
import { interfacesJson } from './interface.ts';
import { apiRoot } from './resource-uri.ts';

/** A device as MAAS tells it. */
export function deviceJson(device: Device, around: Surroundings): Readonly<Record<string, unknown>> {
  const { systemId, hostname, interfaces } = device;
  const domain = around.domain(device.domain);
  return {
    system_id: systemId,
    hostname,
    fqdn: `${hostname}.${domain.name}`,
    description: device.description,
    domain,
    owner: device.owner,
    owner_data: device.ownerData,
    workload_annotations: device.ownerData,
    parent: device.parent || null,
    address_ttl: null,
    ip_addresses: interfaces.flatMap(({ links }) => links.flatMap(({ address }) => address ?? [])),
    interface_set: interfacesJson(systemId, interfaces, [], around.network),
    zone: around.zone(device.zone),
    pool: null,
    tag_names: device.tags,
    node_type: 1,
    node_type_name: 'Device',
    resource_uri: `${apiRoot}/devices/${systemId}/`,
  };
}
