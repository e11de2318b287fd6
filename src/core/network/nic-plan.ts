import type { Mac, NicPlan, NicPlanEntry, VlanId } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

/** A NIC of the instance as CloudStack wants it. */
export interface InstanceNic {
  readonly mac: Mac;
  readonly vlan: VlanId;
  readonly defaultNic: boolean;
  /** CloudStack's order of the instance's NICs, from 0. */
  readonly deviceId: number;
}

/** The NIC plan, and what it means for the ports. */
export interface PlannedNics {
  readonly plan: NicPlan;
  /** Hardware MACs that carry the tenant's VLANs. */
  readonly inUse: readonly Mac[];
  /** Connected NICs that the plan leaves out; their ports are parked. */
  readonly leftOut: readonly Mac[];
  /** VLAN of the default NIC: untagged on the ports in use. */
  readonly native: VlanId;
  /** VLANs of the further NICs, ascending: tagged on the ports in use. */
  readonly tagged: readonly VlanId[];
}

/**
 * Plans a deployment's NICs: a bond over all connected NICs when there are two or more and the image can bond, else the
 * first one; the default NIC's MAC and DHCP on it; every further NIC a VLAN interface with its own MAC and DHCP.
 * @param connected hardware MACs of the connected NICs, in the machine's order.
 * @throws ServiceError `wiring.none` without a connected NIC, `network.no-default-nic` unless exactly one NIC is the default,
 *   `network.vlan-uri` when two NICs share a VLAN, `request.invalid` when they share a MAC.
 */
export function planNics(
  connected: readonly Mac[],
  nics: readonly InstanceNic[],
  canBond: boolean,
): PlannedNics {
  const first = connected[0];
  if (first === undefined) {
    throw new ServiceError({ code: 'wiring.none', what: 'the machine has no connected NIC' });
  }
  const defaults = nics.filter((nic) => nic.defaultNic);
  const main = defaults[0];
  if (main === undefined || defaults.length > 1) {
    throw new ServiceError({
      code: 'network.no-default-nic',
      what: `${defaults.length} of the instance's ${nics.length} NICs are marked as default; exactly one must be`,
    });
  }
  const further = nics.filter((nic) => nic !== main).sort((a, b) => a.deviceId - b.deviceId);
  refuseShared(main, further);

  const bond = canBond && connected.length > 1;
  const link: NicPlanEntry = bond
    ? { kind: 'bond', name: 'bond0', mode: 'active-backup', members: connected, mac: main.mac, dhcp: true }
    : { kind: 'nic', name: 'nic0', hardware: first, mac: main.mac, dhcp: true };
  const vlans = further.map((nic): NicPlanEntry => ({
    kind: 'vlan',
    name: `vlan${nic.vlan}`,
    link: link.name,
    vlan: nic.vlan,
    mac: nic.mac,
    dhcp: true,
  }));
  return {
    plan: [link, ...vlans],
    inUse: bond ? connected : [first],
    leftOut: bond ? [] : connected.slice(1),
    native: main.vlan,
    tagged: further.map((nic) => nic.vlan).sort((a, b) => a - b),
  };
}

/**
 * The VLAN of a CloudStack broadcast URI: `vlan://N` and nothing else (no `vlan://untagged`, `vxlan://`, `lswitch:`, ...).
 * @throws ServiceError `network.vlan-uri`
 */
export function vlanOfUri(broadcastUri: string | null | undefined): VlanId {
  const digits = /^vlan:\/\/([1-9]\d{0,3})$/i.exec(broadcastUri?.trim() ?? '')?.[1];
  const id = Number(digits);
  if (digits === undefined || id > 4094) {
    throw new ServiceError({
      code: 'network.vlan-uri',
      what: `the broadcast URI ${broadcastUri ? `"${broadcastUri.slice(0, 80)}"` : '(none)'} is not a VLAN that can be served`,
    });
  }
  return id as VlanId;
}

/** One port cannot carry a VLAN twice, and one link cannot have two interfaces of the same VLAN or MAC. */
function refuseShared(main: InstanceNic, further: readonly InstanceNic[]): void {
  const all = [main, ...further];
  const vlan = firstRepeated(all.map((nic) => nic.vlan));
  if (vlan !== undefined) {
    throw new ServiceError({
      code: 'network.vlan-uri',
      what: `two NICs of the instance are in VLAN ${vlan}; a physical server can be in it only once`,
      remedy: 'remove one of the two NICs',
    });
  }
  const mac = firstRepeated(all.map((nic) => nic.mac));
  if (mac !== undefined) {
    throw new ServiceError({ code: 'request.invalid', what: `two NICs of the instance have the MAC ${mac}` });
  }
}

function firstRepeated<T>(values: readonly T[]): T | undefined {
  return values.find((value, index) => values.indexOf(value) !== index);
}
