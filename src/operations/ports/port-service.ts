import {
  describePort,
  type Clock,
  type DesiredPort,
  type Evidence,
  type ObservedPort,
  type PortId,
  type SwitchDriver,
  type VlanId,
} from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import { tenantVlans, type PortPurpose, type PortRecord } from '../../core/network/port-state.ts';
import { connectedPorts, type ConnectedPort, type PortPlace, type Switch } from '../../core/rack/wiring.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import { DeviceError } from '../../../plugin-api/index.ts';
import type { Timings } from '../timings.ts';
import { SwitchWorker, wantedOf } from './switch-worker.ts';

export interface PortServiceParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Which state each port of a machine shall have, and why. */
export interface PortWish extends PortPlace {
  readonly purpose: PortPurpose;
  readonly desired: DesiredPort;
}

/**
 * Desired → observed. Operations write what they want of ports in their own transaction (`desire`) and then wait until the
 * switches show it (`settle`).
 */
export class PortService {
  readonly #parts: PortServiceParts;
  readonly #drivers: ReadonlyMap<string, SwitchDriver>;
  readonly #workers = new Map<string, SwitchWorker>();

  constructor(drivers: ReadonlyMap<string, SwitchDriver>, parts: PortServiceParts) {
    this.#drivers = drivers;
    this.#parts = parts;
  }

  /** The machine's connected ports with their switches. */
  async wiring(machine: Machine): Promise<readonly (ConnectedPort & { readonly at: Switch })[]> {
    return this.#parts.storage.run(async (tx) => {
      const switches = new Map((await tx.racks.switches()).map((at) => [at.name, at]));
      return connectedPorts(machine, await tx.racks.wires()).map((port) => ({
        ...port,
        at: switches.get(port.switch)!,
      }));
    });
  }

  /** Writes down what ports shall be, inside the caller's transaction. */
  async desire(tx: Tx, machineId: MachineId, wishes: readonly PortWish[]): Promise<void> {
    for (const wish of wishes) await tx.ports.desire({ ...wish, machineId });
  }

  /**
   * Waits until every given port is read back as desired, and its tenant VLANs are on the uplinks that lead to the router. All
   * switches work at once; if one fails, the others are still waited for, so that nothing is in motion when the error is thrown.
   */
  async settle(places: readonly PortPlace[], signal?: AbortSignal): Promise<readonly Evidence[]> {
    const bySwitch = new Map<string, PortId[]>();
    for (const place of places)
      bySwitch.set(place.switch, [...(bySwitch.get(place.switch) ?? []), place.port]);
    const { clock, log, timings } = this.#parts;
    // The fabric's other switches carry the VLANs too. Only those are waited for that may be on the way to the router and are
    // not known to carry them: a dead switch elsewhere must not stop anybody's Start.
    const { neighbours, vlans } = await this.#around(places);
    for (const { name, uplinks } of neighbours) {
      if (uplinks.length > 1 && !this.#worker(name).carries(vlans)) {
        bySwitch.set(name, []);
        continue;
      }
      this.#worker(name)
        .settle([])
        .catch((thrown: unknown) =>
          log.warn({ switch: name, error: asCodedError(thrown).message }, 'uplinks not brought up to date'),
        );
    }
    return withDeadline(
      clock,
      timings.switchBatch,
      () =>
        new DeviceError({
          code: 'switch.timeout',
          what: 'the ports did not reach the desired state in time',
          where: [...bySwitch.keys()].join(', '),
        }),
      async (both) => {
        const all = [...bySwitch].map(([name, ports]) => this.#worker(name).settle(ports));
        const results = await abortable(Promise.allSettled(all), both);
        const failed = results.find((result) => result.status === 'rejected');
        if (failed) throw failed.reason;
        return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
      },
      signal,
    );
  }

  /** Reads a machine's ports from the switches, changing nothing. */
  async observe(
    places: readonly PortPlace[],
  ): Promise<readonly { readonly place: PortPlace; readonly observed: ObservedPort | null }[]> {
    const names = [...new Set(places.map((place) => place.switch))];
    const read = new Map(
      await Promise.all(
        names.map(async (name) => {
          const ports = places.filter((place) => place.switch === name).map((place) => place.port);
          return [name, await this.#worker(name).observe(ports)] as const;
        }),
      ),
    );
    return places.map((place) => ({
      place,
      observed: read.get(place.switch)?.ports.get(place.port) ?? null,
    }));
  }

  /** The lines that settling these wishes would send now: reads the switches, changes nothing (law 8). */
  async plan(machineId: MachineId, wishes: readonly PortWish[]): Promise<readonly string[]> {
    const lines: string[] = [];
    // Also the wishes for the other switches: a VLAN that nobody on the fabric wants any more is retired here too.
    const replaced = new Map(
      wishes.map((wish): [string, PortRecord] => [
        `${wish.switch} ${wish.port}`,
        plannedRecord(machineId, wish),
      ]),
    );
    const switches = await this.#parts.storage.run((tx) => tx.racks.switches());
    for (const at of switches.filter((candidate) => wishes.some((wish) => wish.switch === candidate.name))) {
      const mine = wishes.filter((wish) => wish.switch === at.name);
      const ports = mine.map((wish) => wish.port);
      const observed = await this.#worker(at.name).observe(ports);
      const { intent } = await wantedOf(this.#parts.storage, at, ports, observed, replaced);
      for (const wish of mine) {
        const now = observed.ports.get(wish.port);
        lines.push(
          `${at.name} ${wish.port}: ${now ? describePort(now) : 'not there'} -> ${describePort(wish.desired)}`,
        );
      }
      const driver = this.driverOf(at);
      lines.push(...driver.render(driver.plan(observed, intent)).map((line) => `  ${at.name}> ${line}`));
    }
    return lines;
  }

  /** Ends the sessions that are kept open. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#workers.values()].map((worker) => worker.close()));
  }

  driverOf(at: Switch): SwitchDriver {
    const driver = this.#drivers.get(at.type);
    if (driver) return driver;
    throw new ServiceError({
      code: 'config.invalid',
      what: `there is no driver for switches of type "${at.type}"`,
      where: at.name,
    });
  }

  /** The other switches of the ports' fabrics, and the tenant VLANs that are wanted on these ports. */
  async #around(
    places: readonly PortPlace[],
  ): Promise<{ readonly neighbours: readonly Switch[]; readonly vlans: readonly VlanId[] }> {
    const touched = new Set(places.map((place) => place.switch));
    const keys = new Set(places.map((place) => `${place.switch} ${place.port}`));
    const [switches, records] = await this.#parts.storage.run(
      async (tx) => [await tx.racks.switches(), await tx.ports.list()] as const,
    );
    const byName = new Map(switches.map((at) => [at.name, at]));
    const fabrics = new Set(switches.filter((at) => touched.has(at.name)).map((at) => at.fabric));
    return {
      neighbours: switches.filter((at) => fabrics.has(at.fabric) && !touched.has(at.name)),
      vlans: records
        .filter((record) => keys.has(`${record.switch} ${record.port}`))
        .flatMap((record) => tenantVlans(record, byName.get(record.switch))),
    };
  }

  #worker(name: string): SwitchWorker {
    const worker = this.#workers.get(name) ?? new SwitchWorker(name, this.#parts, (at) => this.driverOf(at));
    this.#workers.set(name, worker);
    return worker;
  }
}

function plannedRecord(machineId: MachineId, wish: PortWish): PortRecord {
  return { ...wish, machineId, desiredVersion: 0, observed: null, observedVersion: 0, observedAt: null };
}

/** The batch itself goes on when its waiter gives up: it belongs to others too. */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
