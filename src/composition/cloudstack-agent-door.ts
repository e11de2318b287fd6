import { milliseconds } from '../../plugin-api/index.ts';
import { AgentOperations } from '../api/cloudstack-agent/agent-operations.ts';
import { AgentService } from '../api/cloudstack-agent/agent-service.ts';
import { defaultAgentSettings, type AgentSettings } from '../api/cloudstack-agent/agent-settings.ts';
import type { FileCredentials } from '../api/cloudstack-agent/cloud-credentials.ts';
import { cloudHost, forgetPlace } from '../api/cloudstack-agent/cloud-hosts.ts';
import type { Config } from '../config/config.ts';
import type { MachineId } from '../core/machine/machine.ts';
import { asCodedError } from '../kernel/errors/service-error.ts';
import type { Machines } from '../operations/machines.ts';
import type { World } from '../operations/world.ts';
import { reportMaxAge } from './device-care.ts';
import type { Acting } from './operations.ts';
import { version } from './version.ts';

/** CloudStack's own door: one link per machine. None is made yet. */
export function createAgents(
  config: Config,
  { world, operations, restore }: Acting,
  machines: Machines,
): AgentService {
  const { storage, clock, log, metrics, timings, timeline, events } = world;
  const maxAge = reportMaxAge(config);
  return new AgentService({
    clock,
    log,
    commands: new AgentOperations({
      operations,
      timeline,
      clock,
      machines,
      cloud: config.cloudstack.name,
      destroyPatience: timings.destroyDeadline,
    }),
    powerReport: async (id) =>
      restore.closed ? null : machines.observedPowerReport(id as MachineId, maxAge),
    saveHostId: (id, hostId) => machines.saveHostId(id as MachineId, hostId.toString()),
    forgetPlace: async (id) => {
      const code = await forgetPlace(storage, clock, id as MachineId);
      metrics.alarms.inc({ code });
      events.emit('machine', { machineId: id as MachineId });
    },
    pings: {
      sent: () => metrics.agentPings.inc(),
      answered: (took) => metrics.agentPingSeconds.observe(took / 1_000),
    },
    settings: agentPace(config.timings.scale),
  });
}

/** Links the machines of this instance, and keeps it so. Without credentials there are no links. */
export async function linkAgents(
  config: Config,
  { storage, instances, events, log }: World,
  machines: Machines,
  agents: AgentService,
  credentials: FileCredentials | null,
): Promise<void> {
  const { name: cloud, agent } = config.cloudstack;
  const endpoint = credentials && { servers: agent.servers, credentials };
  /** Brings a machine's link in line with what the machine is now: a host once it is commissioned, none once it is forgotten. */
  const link = async (id: MachineId): Promise<void> => {
    const machine = await storage.run((tx) => tx.machines.find(id));
    const mine = machine?.cloudPlace?.cloud === cloud;
    const host =
      machine && mine && endpoint && instances.machines.keeps(id)
        ? cloudHost(machine, endpoint, version)
        : null;
    if (host) await agents.add(host);
    else await agents.remove(id);
  };
  const relink = (id: MachineId): void => {
    link(id).catch((thrown: unknown) =>
      log.error({ machine: id, error: asCodedError(thrown).message }, 'agent link not made'),
    );
  };
  events.on('power', ({ machineId }) => agents.reportNow(machineId));
  events.on('lease', ({ machineId }) => relink(machineId));
  for (const machine of await machines.list())
    if (instances.machines.holds(machine.id)) await link(machine.id);
  instances.watch();
  events.on('machine', ({ machineId }) => relink(machineId));
  events.on('operation', (operation) => {
    if (operation.kind === 'commission' && operation.state === 'done') relink(operation.machineId);
  });
}

/** A floor that runs faster than life has a management server that does too. */
function agentPace(scale: number): Pick<AgentSettings, 'reconnectMin' | 'reconnectMax' | 'moveDelay'> {
  const { reconnectMin, reconnectMax, moveDelay } = defaultAgentSettings;
  return {
    reconnectMin: milliseconds(reconnectMin / scale),
    reconnectMax: milliseconds(reconnectMax / scale),
    moveDelay: milliseconds(moveDelay / scale),
  };
}
