import type { DesiredPort, VlanId } from '../../../plugin-api/index.ts';
import type { TenantNetwork } from '../claim/deployment.ts';
import type { Switch } from '../rack/wiring.ts';

/** On the provisioning network of its switch: an explicit VLAN, or the default VLAN. */
export function provisioningPort(at: Switch): DesiredPort {
  return { native: nativeAt(at, 'provisioning'), tagged: [], admin: 'up' };
}

/** Where nothing is: the park VLAN, or shut where there is none. */
export function parkedPort(at: Switch): DesiredPort {
  return at.park === 'shut' ? shutPort : { native: at.park, tagged: [], admin: 'up' };
}

/** Out of every VLAN of ours and admin-down: also the fence (law 4c). */
export const shutPort: DesiredPort = { native: null, tagged: [], admin: 'down' };

export function tenantPort(
  at: Pick<Switch, 'provisioning' | 'park'>,
  { native, tagged }: Pick<TenantNetwork, 'native' | 'tagged'>,
): DesiredPort {
  return { native: nativeAt(at, native), tagged, admin: 'up' };
}

/** What a tenant's untagged network is on this switch; where there is none, what comes untagged leads nowhere. */
export function nativeAt(
  at: Pick<Switch, 'provisioning' | 'park'>,
  native: TenantNetwork['native'],
): DesiredPort['native'] {
  if (native === 'provisioning') return at.provisioning === 'default-vlan' ? 'default' : at.provisioning;
  if (native === null) return at.park === 'shut' ? null : at.park;
  return native;
}

/** VLANs that a tenant must never be put on, at this switch. */
export function reservedVlans(at: Switch): readonly { readonly vlan: VlanId; readonly why: string }[] {
  const reserved = [];
  if (at.provisioning !== 'default-vlan')
    reserved.push({ vlan: at.provisioning, why: 'the provisioning VLAN' });
  if (at.park !== 'shut') reserved.push({ vlan: at.park, why: 'the park VLAN' });
  if (at.defaultVlan !== null) reserved.push({ vlan: at.defaultVlan, why: 'the default VLAN' });
  return reserved;
}
