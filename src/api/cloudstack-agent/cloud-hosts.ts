import type { Machine } from '../../core/machine/machine.ts';
import type { AgentHost } from './agent-link.ts';
import type { CloudEndpoint } from './agent-settings.ts';

/**
 * A machine as a host of its CloudStack, or null when it is none: not placed there, or not commissioned yet (a host without
 * known CPU and memory would be planned wrongly).
 */
export function cloudHost(machine: Machine, endpoint: CloudEndpoint, version: string): AgentHost | null {
  const place = machine.cloudPlace;
  const nic = machine.nics[0];
  if (!place || !nic || !machine.bmc || machine.cpus === 0) return null;
  return {
    machineId: machine.id,
    endpoint,
    hostId: place.hostId === null ? null : BigInt(place.hostId),
    facts: {
      guid: place.guid,
      name: machine.hostname,
      zone: place.zone,
      pod: place.pod,
      cluster: place.cluster,
      hypervisorType: 'BareMetal',
      arch: machine.architecture,
      cpus: machine.cpus,
      // The clock rate is not in the inventory; the planner multiplies it with the CPUs, so it only has to be alike everywhere.
      speedMhz: 2_000,
      memoryBytes: machine.memoryBytes,
      privateIp: machine.bmc.host,
      privateMac: nic.mac,
      version,
      ...(place.hostTag !== null && { hostDetails: { hostTag: place.hostTag } }),
    },
  };
}
