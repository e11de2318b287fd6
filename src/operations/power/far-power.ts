import {
  CodedError,
  type Clock,
  type Duration,
  type JsonObject,
  type PowerState,
} from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import type { DeviceRequest } from '../../core/storage/instance-records.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { orAborted } from '../../kernel/concurrency/or-aborted.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Instances } from '../instances/instances.ts';
import { requireMachine } from '../machine-state.ts';

export interface FarPowerParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly instances: Instances;
  /** Longest wait for the holder; a new one may have to be found first. */
  readonly patience: Duration;
  /** Reads a machine of this instance; null = a command has its BMC just now. */
  readonly read: (machine: Machine, signal: AbortSignal) => Promise<PowerState | null>;
}

/** The power of machines that another instance holds: it has the session with the BMC, and reads for all. */
export class FarPower {
  readonly #parts: FarPowerParts;
  readonly #waiting = new Map<string, Deferred<JsonObject>>();
  readonly #serving = new Set<string>();

  constructor(parts: FarPowerParts) {
    this.#parts = parts;
  }

  /** Whether the machine's BMC is not this instance's to talk to. */
  has(id: MachineId): boolean {
    return !this.#parts.instances.machines.holds(id);
  }

  /** @throws ServiceError `instance.elsewhere`, naming who may. */
  async refuse(machine: Machine): Promise<never> {
    const { storage, instances } = this.#parts;
    const lease = await storage.run((tx) => tx.leases.find(leaseOf(machine.id)));
    const holder = instances.living.find(({ id }) => id === lease?.owner);
    throw new ServiceError({
      code: 'instance.elsewhere',
      what: holder ? `instance ${holder.name} holds the machine` : 'no instance holds the machine yet',
      where: machine.hostname,
      ...(holder?.adminUrl && { remedy: `ask at ${holder.adminUrl}` }),
    });
  }

  /** Asks the holder. @throws as the reading, and ServiceError `instance.elsewhere` when no holder answers in time */
  async read(machine: Machine, signal?: AbortSignal): Promise<PowerState> {
    const { storage, clock, instances, patience } = this.#parts;
    const at = clock.now();
    const id = newSortableId('sr', at);
    const request: DeviceRequest = {
      ...{ id, device: leaseOf(machine.id), instanceId: instances.id, kind: 'power' },
      ...{ body: {}, state: 'waiting', outcome: null, createdAt: at },
    };
    const answer = new Deferred<JsonObject>();
    this.#waiting.set(id, answer);
    try {
      await storage.run((tx) => tx.deviceRequests.insert(request));
      const late = (): Error =>
        new ServiceError({
          code: 'instance.elsewhere',
          what: 'the instance that holds the machine did not read its power in time',
          where: machine.hostname,
        });
      const outcome = await withDeadline(
        clock,
        patience,
        late,
        (both) => orAborted(answer.promise, both),
        signal,
      );
      const { power, error } = outcome as { readonly power?: PowerState; readonly error?: CodedError };
      if (power !== undefined) return power;
      throw new CodedError(error!);
    } finally {
      this.#waiting.delete(id);
      await storage.run((tx) => tx.deviceRequests.delete(id)).catch(() => undefined);
    }
  }

  /**
   * Reads for others, and hears what others have read.
   * @param waiting all requests that wait, for whichever device
   */
  async look(waiting: readonly DeviceRequest[]): Promise<void> {
    const { storage, instances } = this.#parts;
    for (const request of waiting) {
      if (request.kind !== 'power' || this.#serving.has(request.id)) continue;
      const machineId = request.device.slice(prefix.length) as MachineId;
      if (!instances.machines.keeps(machineId)) continue;
      this.#serving.add(request.id);
      void this.#serve(request.id, machineId).finally(() => this.#serving.delete(request.id));
    }
    if (this.#waiting.size === 0) return;
    const over = await storage.run((tx) => tx.deviceRequests.over([...this.#waiting.keys()]));
    for (const { id, outcome } of over) this.#waiting.get(id)?.resolve(outcome ?? {});
  }

  async #serve(id: string, machineId: MachineId): Promise<void> {
    const { storage, clock, patience, read } = this.#parts;
    const over = new AbortController();
    const timer = clock.sleep(patience, over.signal).then(
      () => over.abort(new Error('nobody waits any more')),
      () => undefined,
    );
    let outcome: JsonObject;
    try {
      const machine = await storage.run((tx) => requireMachine(tx, machineId));
      const power = await read(machine, over.signal);
      // A command has the BMC: the request is still there at the next look.
      if (power === null) return;
      outcome = { power };
    } catch (thrown) {
      outcome = { error: { ...asCodedError(thrown).toJSON() } as unknown as JsonObject };
    } finally {
      over.abort(new Error('read'));
      await timer;
    }
    // Who waits hears of it, or asks once more.
    await storage.run((tx) => tx.deviceRequests.end(id, outcome)).catch(() => undefined);
  }
}

const prefix = 'machine:';
const leaseOf = (id: MachineId): string => `${prefix}${id}`;
