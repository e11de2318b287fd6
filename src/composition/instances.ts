import { hostname } from 'node:os';
import type { AgentService } from '../api/cloudstack-agent/agent-service.ts';
import { asCodedError } from '../kernel/errors/service-error.ts';
import { newSortableId } from '../kernel/ids/ids.ts';
import { Instances } from '../operations/instances/instances.ts';
import type { Operations } from '../operations/operations.ts';
import type { FarPower } from '../operations/power/far-power.ts';
import type { World } from '../operations/world.ts';
import type { SqlStorage } from '../store/open-storage.ts';
import type { Base } from './base.ts';
import { version } from './version.ts';

/** This process among those on the database. */
export function createInstances({ timings, clock, log }: Base, storage: SqlStorage): Instances {
  return new Instances({
    storage,
    clock,
    timings,
    log,
    id: newSortableId('in', clock.now()),
    name: `${hostname()}/${process.pid}`,
    version,
    shared: storage.shared,
  });
}

/** What happens here when a machine comes to this instance or leaves it, and when another instance asks for something. */
export function shareWork(
  { instances, storage, power, ports, events, log }: World,
  operations: Operations,
  farPower: FarPower,
  agents: AgentService,
): void {
  instances.machines.setTenant({
    gained: (ids, left) => {
      operations.gained(ids, left);
      for (const machineId of ids) events.emit('lease', { machineId });
    },
    leaving: async (id) => {
      await agents.remove(id);
      await power.release(id);
    },
    kept: (machineId) => events.emit('lease', { machineId }),
  });
  instances.onLook(async () => {
    await operations.look();
    const waiting = await storage.run((tx) => tx.deviceRequests.waiting());
    await ports.look(waiting);
    await farPower.look(waiting);
    for (const machineId of await instances.machines.noted()) events.emit('machine', { machineId });
  });
  events.on('machine', ({ machineId }) => {
    instances.machines.changed(machineId).then(
      (free) => free && instances.wake(),
      (thrown: unknown) =>
        log.error({ machine: machineId, error: asCodedError(thrown).message }, 'the holder was not told'),
    );
  });
}
