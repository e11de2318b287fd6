import {
  describePort,
  type DesiredPort,
  type Evidence,
  type ObservedPort,
  type ObservedSwitch,
  type PortId,
  type SwitchDriver,
  type VlanId,
} from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import { tenantVlans, type PortPurpose, type PortRecord } from '../../core/network/port-state.ts';
import {
  connectedPorts,
  type ConnectedPort,
  type FabricSwitch,
  type PortPlace,
  type Switch,
} from '../../core/rack/wiring.ts';
import type { DeviceRequest } from '../../core/storage/instance-records.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { orAborted } from '../../kernel/concurrency/or-aborted.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import { DeviceError } from '../../../plugin-api/index.ts';
import type { Instances } from '../instances/instances.ts';
import { SharedSwitch } from './shared-switch.ts';
import { SwitchWorker, type SwitchWorkerParts } from './switch-worker.ts';
import { carriedBy, wantedOf } from './wanted.ts';

export interface PortServiceParts extends SwitchWorkerParts {
  /** Where other instances may work on the same switches. */
  readonly instances: Instances;
}

/** Another switch of the fabric, and the VLANs that it must carry. */
type Neighbour = FabricSwitch & { readonly carried: readonly VlanId[] };

interface Around {
  readonly neighbours: readonly Neighbour[];
  readonly vlans: readonly VlanId[];
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
  readonly #workers = new Map<string, SwitchWorker | SharedSwitch>();
  /** Switches that are brought up to date with nobody waiting, and whether that was asked for again meanwhile. */
  readonly #refreshing = new Map<string, boolean>();

  constructor(drivers: ReadonlyMap<string, SwitchDriver>, parts: PortServiceParts) {
    this.#drivers = drivers;
    this.#parts = parts;
  }

  /** The machine's connected ports with their switches. */
  async wiring(machine: Machine): Promise<readonly (ConnectedPort & { readonly at: Switch })[]> {
    return this.#parts.storage.run(async (tx) => {
      const wires = await tx.racks.wiresOf(machine.nics.map(({ mac }) => mac));
      const ports = connectedPorts(machine, wires);
      const names = [...new Set(ports.map((port) => port.switch))];
      const switches = new Map((await tx.racks.switchesOf(names)).map((at) => [at.name, at]));
      return ports.map((port) => ({ ...port, at: switches.get(port.switch)! }));
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
    for (const name of await this.#bringAlong(places)) bySwitch.set(name, []);
    return this.#within(
      [...bySwitch.keys()],
      'the ports did not reach the desired state in time',
      async (both) => {
        const all = [...bySwitch].map(([name, ports]) => this.#worker(name).settle(ports));
        const results = await orAborted(Promise.allSettled(all), both);
        const failed = results.find((result) => result.status === 'rejected');
        if (failed) throw failed.reason;
        return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
      },
      signal,
    );
  }

  /** What switches are waited for ends with the longest batch, whatever they are at. */
  #within<T>(
    switches: readonly string[],
    what: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { clock, timings } = this.#parts;
    const late = (): Error => new DeviceError({ code: 'switch.timeout', what, where: switches.join(', ') });
    return withDeadline(clock, timings.switchBatch, late, work, signal);
  }

  /** Reads a machine's ports from the switches, changing nothing. */
  async observe(
    places: readonly PortPlace[],
    signal?: AbortSignal,
  ): Promise<readonly { readonly place: PortPlace; readonly observed: ObservedPort | null }[]> {
    const names = [...new Set(places.map((place) => place.switch))];
    const read = async (name: string): Promise<readonly [string, ObservedSwitch]> => {
      const ports = places.filter((place) => place.switch === name).map((place) => place.port);
      return [name, await this.#worker(name).observe(ports)];
    };
    const found = new Map(
      await this.#within(
        names,
        'the ports could not be read in time',
        (both) => orAborted(Promise.all(names.map(read)), both),
        signal,
      ),
    );
    return places.map((place) => ({
      place,
      observed: found.get(place.switch)?.ports.get(place.port) ?? null,
    }));
  }

  /** Brings the VLANs on a switch's uplinks up to date, and saves what is not saved. */
  async bringUpToDate(name: string): Promise<void> {
    await this.#worker(name).settle([]);
  }

  /** Reads ports of one switch, changing nothing and keeping nothing. */
  read(switchName: string, ports: readonly PortId[]): Promise<ObservedSwitch> {
    return this.#worker(switchName).observe(ports);
  }

  /** The lines that settling these wishes would send now: reads the switches, changes nothing (law 8). */
  async plan(machineId: MachineId, wishes: readonly PortWish[]): Promise<readonly string[]> {
    const lines: string[] = [];
    // Also the wishes for the other switches: a VLAN that nobody on the fabric wants any more is retired here too.
    const planned = wishes.map((wish) => plannedRecord(machineId, wish));
    const switches = await this.#parts.storage.run((tx) => tx.racks.switches());
    for (const at of switches.filter((candidate) => wishes.some((wish) => wish.switch === candidate.name))) {
      const mine = wishes.filter((wish) => wish.switch === at.name);
      const ports = mine.map((wish) => wish.port);
      const observed = await this.#worker(at.name).observe(ports);
      const { intent } = await wantedOf(this.#parts.storage, at, ports, observed, planned);
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

  /**
   * Sees what other instances ask of the switches here, and what came of what was asked of them.
   * @param waiting all requests that wait, for whichever device
   */
  async look(waiting: readonly DeviceRequest[]): Promise<void> {
    const { storage } = this.#parts;
    const shared = [...this.#workers.values()].filter((worker) => worker instanceof SharedSwitch);
    const asked = shared.flatMap((one) => one.asked);
    for (const one of shared) one.serve(waiting.filter(({ device }) => device === one.lease));
    const over = asked.length === 0 ? [] : await storage.run((tx) => tx.deviceRequests.over(asked));
    for (const one of shared) {
      for (const request of over) one.hear(request);
      await one.takeIfFree();
    }
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

  /**
   * The fabric's other switches carry the VLANs too. Only those are waited for that may be on the way to the router and are not known to carry
   * them: a dead switch elsewhere must not stop anybody's Start.
   * @returns their names
   */
  async #bringAlong(places: readonly PortPlace[]): Promise<readonly string[]> {
    const { neighbours, vlans } = await this.#around(places);
    return neighbours.flatMap(({ name, uplinks, carried, unsavedSince }) => {
      const worker = this.#worker(name);
      if (uplinks.length > 1 && !worker.carries(vlans, uplinks)) return [name];
      if (unsavedSince !== null || !worker.isUpToDate(carried, uplinks)) void this.#refresh(name);
      return [];
    });
  }

  /** One at a time, and once more for all who asked meanwhile: what had begun may not have seen what they want. */
  async #refresh(name: string): Promise<void> {
    const underWay = this.#refreshing.has(name);
    this.#refreshing.set(name, underWay);
    if (underWay) return;
    do {
      this.#refreshing.set(name, false);
      await this.#worker(name)
        .settle([])
        .catch((thrown: unknown) =>
          this.#parts.log.warn(
            { switch: name, error: asCodedError(thrown).message },
            'uplinks not brought up to date',
          ),
        );
    } while (this.#refreshing.get(name));
    this.#refreshing.delete(name);
  }

  /** The other switches of the ports' fabrics with what they must carry, and the tenant VLANs that are wanted on these ports. */
  #around(places: readonly PortPlace[]): Promise<Around> {
    const touched = new Set(places.map((place) => place.switch));
    return this.#parts.storage.run(async (tx) => {
      const own = await tx.racks.switchesOf([...touched]);
      const vlans: VlanId[] = [];
      for (const at of own) {
        const ports = places.filter((place) => place.switch === at.name).map((place) => place.port);
        for (const record of await tx.ports.ofPorts(at.name, ports)) vlans.push(...tenantVlans(record, at));
      }
      const neighbours: Neighbour[] = [];
      for (const fabric of new Set(own.map((at) => at.fabric))) {
        const inUse = await tx.ports.tenantVlans(fabric);
        for (const at of await tx.racks.ofFabric(fabric))
          if (!touched.has(at.name)) neighbours.push({ ...at, carried: carriedBy(at, inUse) });
      }
      return { neighbours, vlans };
    });
  }

  #worker(name: string): SwitchWorker | SharedSwitch {
    const known = this.#workers.get(name);
    if (known) return known;
    const own = new SwitchWorker(name, this.#parts, (at) => this.driverOf(at));
    const worker = this.#parts.instances.shared ? new SharedSwitch(name, own, this.#parts) : own;
    this.#workers.set(name, worker);
    return worker;
  }
}

function plannedRecord(machineId: MachineId, wish: PortWish): PortRecord {
  return { ...wish, machineId, desiredVersion: 0, observed: null, observedVersion: 0, observedAt: null };
}
