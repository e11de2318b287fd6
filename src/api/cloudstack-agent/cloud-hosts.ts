import type { Clock } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { HostFacts } from '../../wire/cloudstack/message/startup-routing-command.ts';
import type { CloudEndpoint } from './agent-settings.ts';

/** One machine as a host of one CloudStack. */
export interface AgentHost {
  readonly machineId: string;
  readonly facts: HostFacts;
  readonly endpoint: CloudEndpoint;
  /** Host id of an earlier connection, or null. */
  readonly hostId: bigint | null;
}

/**
 * A machine as a host of its CloudStack, or null when it is none: not placed there, or not commissioned yet (a host without
 * known CPU and memory would be planned wrongly).
 */
export function cloudHost(machine: Machine, endpoint: CloudEndpoint, version: string): AgentHost | null {
  const facts = hostFacts(machine, version);
  return facts && { machineId: machine.id, endpoint, hostId: hostIdOf(machine), facts };
}

/** What a CloudStack must know of the machine, or null where {@link cloudHost} has none. */
export function hostFacts(machine: Machine, version: string): HostFacts | null {
  const place = machine.cloudPlace;
  const nic = machine.nics[0];
  if (!place || !nic || !machine.bmc || machine.cpus === 0) return null;
  return {
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
  };
}

/** The id that CloudStack gave the machine's host, or null before it was told. */
export function hostIdOf({ cloudPlace }: Machine): bigint | null {
  return cloudPlace?.hostId == null ? null : BigInt(cloudPlace.hostId);
}

/**
 * CloudStack removed the host of a machine: its place there is forgotten, so that no restart makes it a host again, and a person is told.
 * The machine, and whoever holds it, stay as they are. Returns the alarm's code.
 */
export async function forgetPlace(storage: Storage, clock: Clock, machineId: MachineId): Promise<string> {
  const code = 'agent.removed';
  await storage.run(async (tx) => {
    const machine = await tx.machines.find(machineId);
    if (!machine?.cloudPlace) return;
    const { cloud, zone } = machine.cloudPlace;
    await tx.machines.update({ ...machine, cloudPlace: null });
    const at = clock.now();
    const text = `${cloud} removed the host of ${machine.hostname} (zone ${zone}); enrol it with a place to bring it back`;
    await tx.alarms.insert({ id: newSortableId('al', at), at, code, machineId, text });
  });
  return code;
}
