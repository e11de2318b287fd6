import type { Evidence, FirstBootData, NicPlan, VlanId } from '../../../plugin-api/index.ts';
import type { MachineId } from '../machine/machine.ts';
import type { PortPlace } from '../rack/wiring.ts';

/** The tenant's network as the ports must carry it. */
export interface TenantNetwork {
  /**
   * Untagged on every port in use: the VLAN of the default NIC. `provisioning` = the machine stays on the provisioning network,
   * which only a trusted pool allows; null = nothing.
   */
  readonly native: VlanId | 'provisioning' | null;
  /** VLANs of the further NICs, ascending: tagged on every port in use. */
  readonly tagged: readonly VlanId[];
  /** Ports that carry the tenant's VLANs (both of a bond, or one). */
  readonly ports: readonly PortPlace[];
  /** Connected ports left out (image cannot bond): parked. */
  readonly parked: readonly PortPlace[];
}

/** What was put on a claimed machine. */
export interface Deployment {
  /** Id of the operation that made it. */
  readonly id: string;
  readonly machineId: MachineId;
  readonly externalId: string;
  readonly image: string;
  readonly nicPlan: NicPlan;
  readonly firstBoot: FirstBootData;
  readonly network: TenantNetwork;
  readonly state: 'installing' | 'installed' | 'ended';
  readonly evidence: Evidence | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly version: number;
}

/** A deployment for showing: without what the tenant gave its first boot. */
export type ShownDeployment = Omit<Deployment, 'firstBoot'>;
