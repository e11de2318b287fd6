import { hostname } from 'node:os';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import { defaultDomain, defaultZone } from '../../../operations/default-records.ts';
import type { MaasSettings } from '../maas-context.ts';
import type { Surroundings } from '../surroundings.ts';
import { apiRoot } from './resource-uri.ts';
import { textOf } from '../text-of.ts';

/** This service as MAAS tells a controller: one that is region and rack in one. */
export function controllerJson(
  record: StoredRecord,
  around: Surroundings,
  settings: Pick<MaasSettings, 'reportedVersion'>,
  kind: 'rackcontrollers' | 'regioncontrollers',
): Readonly<Record<string, unknown>> {
  const systemId = textOf(record.body['system_id']);
  const name = hostname().split('.', 1)[0]!;
  const domain = around.domain(defaultDomain);
  const tests = ['cpu', 'memory', 'network', 'storage', 'interface', 'other'].flatMap((part) => [
    [`${part}_test_status`, -1],
    [`${part}_test_status_name`, 'Unknown'],
  ]);
  return {
    system_id: systemId,
    hostname: name,
    fqdn: `${name}.${domain.name}`,
    description: '',
    domain,
    zone: around.zone(defaultZone),
    version: settings.reportedVersion,
    architecture: 'amd64/generic',
    cpu_count: 0,
    cpu_speed: 0,
    memory: 0,
    swap_size: null,
    osystem: '',
    distro_series: '',
    hardware_uuid: null,
    hardware_info: {},
    power_type: '',
    power_state: 'unknown',
    ip_addresses: [],
    interface_set: [],
    service_set: ['http', 'dhcpd', 'tftp'].map((service) => ({
      name: service,
      status: 'unknown',
      status_info: '',
    })),
    tag_names: [],
    status_action: '',
    node_type: 4,
    node_type_name: 'Region and rack controller',
    current_commissioning_result_id: null,
    current_testing_result_id: null,
    current_installation_result_id: null,
    commissioning_status: -1,
    commissioning_status_name: 'Unknown',
    testing_status: -1,
    testing_status_name: 'Unknown',
    ...(Object.fromEntries(tests) as Readonly<Record<string, unknown>>),
    resource_uri: `${apiRoot}/${kind}/${systemId}/`,
  };
}
