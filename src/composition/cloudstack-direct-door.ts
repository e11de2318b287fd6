import { seconds } from '../../plugin-api/index.ts';
import { AgentOperations } from '../api/cloudstack-agent/agent-operations.ts';
import { hostFacts, hostIdOf } from '../api/cloudstack-agent/cloud-hosts.ts';
import { executeCommand } from '../api/cloudstack-agent/command-table.ts';
import { directApp } from '../api/cloudstack-direct/direct-app.ts';
import { HostIndex } from '../api/cloudstack-direct/host-index.ts';
import type { Config } from '../config/config.ts';
import type { MachineId } from '../core/machine/machine.ts';
import { close, listen } from '../kernel/net/web-server.ts';
import type { Machines } from '../operations/machines.ts';
import { reportMaxAge } from './device-care.ts';
import type { Door, Listeners } from './listeners.ts';
import type { Acting } from './operations.ts';
import { version } from './version.ts';

/** The agents' commands over HTTP, from a direct-connect resource inside the management server. null = not enabled. */
export async function openDirectDoor(
  config: Config,
  { world, operations, restore, farPower }: Acting,
  machines: Machines,
  listeners: Listeners,
): Promise<Door | null> {
  const { direct, name: cloud } = config.cloudstack;
  if (!direct.enabled || !direct.token) return null;
  const { storage, clock, log, timings, timeline, events, power } = world;
  const { limits } = listeners;
  const maxAge = reportMaxAge(config);
  const hosts = new HostIndex({ machines: () => machines.list(), cloud, clock, maxAge: seconds(30) });
  events.on('machine', () => hosts.invalidate());
  const commands = new AgentOperations({
    operations,
    timeline,
    clock,
    machines,
    cloud,
    door: 'cloudstack-direct',
    destroyPatience: timings.destroyDeadline,
  });
  const app = directApp({
    token: direct.token,
    host: async (name) => {
      const id = await hosts.find(name);
      const machine = id && (await storage.run((tx) => tx.machines.find(id)));
      if (!machine) return null;
      const { hostname } = machine;
      const facts = hostFacts(machine, version);
      return { machineId: machine.id, hostname, hostId: hostIdOf(machine), facts };
    },
    execute: (id, entry) => executeCommand(id, entry, commands, log),
    power: async (id) => {
      if (restore.closed) return { report: null };
      const busy = await storage.run((tx) => tx.journal.active(id as MachineId));
      if (farPower.has(id as MachineId)) {
        const report = await machines.powerReport(id as MachineId);
        return busy || report ? { report } : null;
      }
      if (!busy && !power.observed(id as MachineId, maxAge)) return null;
      return { report: await machines.observedPowerReport(id as MachineId, maxAge) };
    },
    clock,
    log,
    failures: limits.failures,
    bodyBudget: limits.budgets().known,
    settings: { bodyTimeout: config.limits.bodyTimeout },
  });
  const server = listeners.create('direct', app, { keepAliveTimeout: seconds(65) });
  return { url: await listen(server, direct.host, direct.port), close: () => close(server) };
}
