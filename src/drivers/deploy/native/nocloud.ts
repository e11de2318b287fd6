import { stringify } from 'yaml';
import type { FirstBootData, NicPlan } from '../../../../plugin-api/index.ts';

/** Label of the file system that cloud-init's NoCloud source looks for; all its versions know the lower-case one. */
export const noCloudLabel = 'cidata';

/**
 * The NoCloud files of a deployment (cloud-init, datasource NoCloud). User data goes in verbatim, so that a script, a
 * cloud-config or a multipart archive stays what it is; SSH keys travel in meta-data as `public-keys` for that reason.
 */
export function noCloudFiles(data: FirstBootData, plan: NicPlan): Readonly<Record<string, string>> {
  return {
    'meta-data': yaml({
      'instance-id': data.instanceId,
      'local-hostname': data.hostname,
      ...(data.sshKeys.length > 0 ? { 'public-keys': data.sshKeys } : {}),
    }),
    // NoCloud is not recognised without a user-data file, even an empty one.
    'user-data': data.userData ?? '#cloud-config\n{}\n',
    'network-config': networkConfig(plan),
  };
}

/** The NIC plan as cloud-init network config, version 2. */
export function networkConfig(plan: NicPlan): string {
  const ethernets: Record<string, object> = {};
  const bonds: Record<string, object> = {};
  const vlans: Record<string, object> = {};
  for (const entry of plan) {
    switch (entry.kind) {
      case 'bond': {
        const interfaces = entry.members.map((mac, index) => {
          ethernets[`nic${index}`] = { match: { macaddress: mac }, dhcp4: false, optional: true };
          return `nic${index}`;
        });
        bonds[entry.name] = {
          interfaces,
          macaddress: entry.mac,
          ...dhcp(entry.dhcp),
          parameters: { mode: entry.mode, 'mii-monitor-interval': 100 },
        };
        break;
      }
      case 'nic':
        ethernets[entry.name] = {
          match: { macaddress: entry.hardware },
          macaddress: entry.mac,
          ...dhcp(entry.dhcp),
        };
        break;
      case 'vlan':
        vlans[entry.name] = {
          id: entry.vlan,
          link: entry.link,
          macaddress: entry.mac,
          ...dhcp(entry.dhcp),
        };
        break;
    }
  }
  return yaml({
    version: 2,
    ethernets,
    ...(Object.keys(bonds).length > 0 ? { bonds } : {}),
    ...(Object.keys(vlans).length > 0 ? { vlans } : {}),
  });
}

/** systemd-networkd would otherwise identify itself by a DUID, which not every DHCP server matches to the MAC. */
function dhcp(wanted: boolean): object {
  return wanted ? { dhcp4: true, 'dhcp-identifier': 'mac' } : { dhcp4: false };
}

/** cloud-init reads YAML 1.1, where an unquoted MAC of digits is a number in base 60: every text is quoted. */
function yaml(value: object): string {
  return stringify(value, {
    version: '1.1',
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
}
