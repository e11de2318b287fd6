import { stringify } from 'yaml';
import type { FirstBootData, NicPlan, NicPlanEntry } from '../../../../plugin-api/index.ts';

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
  const taken = new Set(plan.map((entry) => entry.name));
  for (const entry of plan) {
    switch (entry.kind) {
      case 'bond':
        bonds[entry.name] = {
          interfaces: entry.members.map((mac) => {
            const id = freeId(taken);
            ethernets[id] = { match: { macaddress: mac }, dhcp4: false, optional: true };
            return id;
          }),
          macaddress: entry.mac,
          ...addressing(entry),
          parameters: bondParameters(entry),
        };
        break;
      case 'nic':
        ethernets[entry.name] = {
          match: { macaddress: entry.hardware },
          macaddress: entry.mac,
          ...addressing(entry),
        };
        break;
      case 'vlan':
        vlans[entry.name] = {
          id: entry.vlan,
          link: entry.link,
          macaddress: entry.mac,
          ...addressing(entry),
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

/** A member of a bond has no name in the plan: `nic0` and so on, where no interface is called that. */
function freeId(taken: Set<string>): string {
  for (let index = 0; ; index += 1) {
    const id = `nic${index}`;
    if (taken.has(id)) continue;
    taken.add(id);
    return id;
  }
}

function addressing({ dhcp, addresses, gateways, nameservers, mtu }: NicPlanEntry): object {
  return {
    // systemd-networkd would otherwise identify itself by a DUID, which not every DHCP server matches to the MAC.
    ...(dhcp ? { dhcp4: true, 'dhcp-identifier': 'mac' } : { dhcp4: false }),
    ...(addresses && { addresses }),
    ...(gateways && {
      routes: gateways.map((via) => ({ to: via.includes(':') ? '::/0' : '0.0.0.0/0', via })),
    }),
    ...(nameservers && { nameservers: { addresses: nameservers } }),
    ...(mtu !== undefined && { mtu }),
  };
}

/** Netplan's names; `gratuitious-arp` is misspelt there too. */
function bondParameters(bond: Extract<NicPlanEntry, { readonly kind: 'bond' }>): object {
  const { upDelay, downDelay, gratuitousArp, lacpRate, hashPolicy } = bond;
  return {
    mode: bond.mode,
    'mii-monitor-interval': bond.miimon ?? 100,
    ...(upDelay !== undefined && { 'up-delay': upDelay }),
    ...(downDelay !== undefined && { 'down-delay': downDelay }),
    ...(gratuitousArp !== undefined && { 'gratuitious-arp': gratuitousArp }),
    ...(lacpRate !== undefined && { 'lacp-rate': lacpRate }),
    ...(hashPolicy !== undefined && { 'transmit-hash-policy': hashPolicy }),
  };
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
