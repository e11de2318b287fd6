import type { DesiredPort, ObservedPort, VlanId } from '../../../plugin-api/index.ts';
import type { MachineId } from '../machine/machine.ts';
import type { PortPlace, Switch } from '../rack/wiring.ts';

/** Why a port is wanted as it is. */
export type PortPurpose = 'provisioning' | 'park' | 'tenant' | 'fenced';

/** Desired state (ours, versioned) and observed state (read back, with time) of one port. */
export interface PortRecord extends PortPlace {
  readonly machineId: MachineId | null;
  readonly purpose: PortPurpose;
  readonly desired: DesiredPort;
  /** Grows by one with each change of `desired`. */
  readonly desiredVersion: number;
  readonly observed: ObservedPort | null;
  /** The `desiredVersion` that was read back as reached; behind `desiredVersion` while a change is on its way. */
  readonly observedVersion: number;
  /** Epoch milliseconds of the last reading; null before the first. */
  readonly observedAt: number | null;
}

/** A port that a tenant has, as far as it is wanted. */
export type TenantPort = Pick<PortRecord, 'switch' | 'port' | 'machineId' | 'purpose' | 'desired'>;

/** VLANs of tenants that are wanted on the port. The park VLAN, where nothing is untagged, leads nowhere and is none of them. */
export function tenantVlans(
  { purpose, desired }: Pick<PortRecord, 'purpose' | 'desired'>,
  at: Pick<Switch, 'park'> | undefined,
): readonly VlanId[] {
  if (purpose !== 'tenant') return [];
  const { native, tagged } = desired;
  return typeof native === 'number' && native !== at?.park ? [native, ...tagged] : [...tagged];
}
