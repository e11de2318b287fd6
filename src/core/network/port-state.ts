import type { DesiredPort, ObservedPort, VlanId } from '../../../plugin-api/index.ts';
import type { MachineId } from '../machine/machine.ts';
import type { PortPlace } from '../rack/wiring.ts';

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

/** VLANs of tenants that are wanted on the port. */
export function tenantVlans({ purpose, desired }: PortRecord): readonly VlanId[] {
  if (purpose !== 'tenant') return [];
  return typeof desired.native === 'number' ? [desired.native, ...desired.tagged] : [...desired.tagged];
}
