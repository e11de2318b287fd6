import {
  type Clock,
  type Evidence,
  type JsonObject,
  type ObservedSwitch,
  type PortId,
  type VlanId,
} from '../../../plugin-api/index.ts';
import type { DeviceRequest } from '../../core/storage/instance-records.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Instances } from '../instances/instances.ts';
import type { Timings } from '../timings.ts';
import { decodeOutcome, encodeOutcome, type SwitchOutcome } from './switch-outcome.ts';
import type { SwitchWorker } from './switch-worker.ts';

export interface SharedSwitchParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Pick<Timings, 'switchIdle' | 'wireSettle'>;
  readonly log: Log;
  readonly instances: Instances;
}

/** Of a request that another instance is to carry out. */
type Route = { readonly to: 'here' } | { readonly to: 'holder'; readonly request: string };

/**
 * A switch that several instances work on (law 9): whoever has its lease applies for all of them, over its one session. The
 * others leave a row and wait for its outcome. The lease is taken when there is work and nobody has it, and given back once
 * the session has been idle.
 */
export class SharedSwitch {
  readonly #name: string;
  readonly #lease: string;
  readonly #parts: SharedSwitchParts;
  readonly #worker: SwitchWorker;
  readonly #turn = new Mutex();
  /** What this instance waits for, by the id of its request. */
  readonly #waiting = new Map<string, Deferred<JsonObject>>();
  /** Requests of others that are being carried out. */
  readonly #serving = new Set<string>();
  #held = false;
  /** The lease was to be taken or given back, and the database did not say whether it was: what it says next counts. */
  #doubtful = false;
  #closed = false;
  /** What an earlier holder had sent before it died has taken effect by then. */
  #quiet: Promise<void> = Promise.resolve();
  #using = 0;
  #idle: AbortController | null = null;
  #carried: ReadonlySet<VlanId> = new Set();
  /** Its uplinks when somebody last asked for that: a rack config may have given it others since. */
  #uplinks = '';

  constructor(name: string, worker: SwitchWorker, parts: SharedSwitchParts) {
    this.#name = name;
    this.#lease = `switch:${name}`;
    this.#worker = worker;
    this.#parts = parts;
  }

  /** Name of its lease. */
  get lease(): string {
    return this.#lease;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Ids of the requests that another instance is to carry out. */
  get asked(): readonly string[] {
    return [...this.#waiting.keys()];
  }

  async settle(ports: readonly PortId[]): Promise<readonly Evidence[]> {
    const outcome = await this.#through('settle', ports);
    if (!('evidence' in outcome)) throw this.#unreadable();
    this.#carried = new Set(outcome.carried ?? []);
    return outcome.evidence;
  }

  async observe(ports: readonly PortId[]): Promise<ObservedSwitch> {
    const outcome = await this.#through('observe', ports);
    if (!('observed' in outcome)) throw this.#unreadable();
    return outcome.observed;
  }

  /** Whether all its uplinks carried these VLANs when it was last read here, or for us. */
  carries(vlans: readonly VlanId[], uplinks: readonly PortId[]): boolean {
    if (this.#held) return this.#worker.carries(vlans, uplinks);
    if (this.#uplinks !== String(uplinks)) this.#carried = new Set();
    this.#uplinks = String(uplinks);
    return vlans.every((vlan) => this.#carried.has(vlan));
  }

  /** See `SwitchWorker`. While another instance may work on it, nobody here knows. */
  isUpToDate(carried: readonly VlanId[], uplinks: readonly PortId[]): boolean {
    return this.#held && this.#worker.isUpToDate(carried, uplinks);
  }

  /** For good: what others ask for from now on is for whoever has the lease next. */
  close(): Promise<void> {
    this.#closed = true;
    this.#idle?.abort(new Error('closing'));
    return this.#worker.close();
  }

  /** Carries out what others ask for. */
  serve(requests: readonly DeviceRequest[]): void {
    for (const request of requests) {
      if (!this.#held || this.#closed || this.#serving.has(request.id)) continue;
      this.#serving.add(request.id);
      this.#using += 1;
      void this.#answer(request).finally(() => {
        this.#serving.delete(request.id);
        this.#used();
      });
    }
  }

  /** The outcome of one of our own requests. */
  hear({ id, outcome }: DeviceRequest): void {
    this.#waiting.get(id)?.resolve(outcome ?? {});
  }

  /** Takes the lease if its holder is gone: what waits for it is carried out here then. One that may be ours is looked at too. */
  async takeIfFree(): Promise<void> {
    const wanted = (): boolean => !this.#held && !this.#closed && (this.#waiting.size > 0 || this.#doubtful);
    if (!wanted()) return;
    await this.#turn.run(async () => {
      if (wanted()) await this.#take(null);
      if (this.#held && this.#using === 0) this.#closeWhenIdle();
    });
  }

  async #through(kind: DeviceRequest['kind'], ports: readonly PortId[]): Promise<SwitchOutcome> {
    const route = await this.#turn.run(() => this.#route(kind, ports));
    const outcome =
      route.to === 'here'
        ? await this.#here(kind, ports).finally(() => this.#used())
        : await this.#fromHolder(route.request);
    if ('error' in outcome) throw outcome.error;
    return outcome;
  }

  async #route(kind: DeviceRequest['kind'], ports: readonly PortId[]): Promise<Route> {
    const { clock, instances } = this.#parts;
    const at = clock.now();
    const request: DeviceRequest = {
      id: newSortableId('sr', at),
      device: this.#lease,
      instanceId: instances.id,
      kind,
      body: { ports },
      state: 'waiting',
      outcome: null,
      createdAt: at,
    };
    if (!this.#held) await this.#take(request);
    if (!this.#held) {
      this.#waiting.set(request.id, new Deferred());
      return { to: 'holder', request: request.id };
    }
    this.#using += 1;
    this.#idle?.abort(new Error('used'));
    return { to: 'here' };
  }

  /** Takes the lease where nobody has it; else leaves the request for its holder. */
  async #take(otherwise: DeviceRequest | null): Promise<void> {
    const { storage, instances, clock, timings, log } = this.#parts;
    const name = this.#lease;
    const doubtful = this.#doubtful;
    this.#doubtful = true;
    const taken = await storage.run(async (tx) => {
      const lease = await tx.leases.find(name, { lock: true });
      if (!lease) {
        await tx.leases.insert([{ name, kind: 'switch', owner: instances.id, lost: false, notes: 0 }]);
        return { lost: false };
      }
      // Whether it was lost before that is not known any more.
      if (lease.owner === instances.id) return { lost: doubtful };
      if (lease.owner === null) {
        await tx.leases.take([name], instances.id);
        return { lost: lease.lost };
      }
      if (otherwise) await tx.deviceRequests.insert(otherwise);
      return null;
    });
    this.#doubtful = false;
    if (!taken) return;
    this.#held = true;
    if (!taken.lost) return;
    log.info({ switch: this.#name }, 'switch taken over: what its last holder had sent is waited for');
    this.#quiet = clock.sleep(timings.wireSettle);
  }

  async #here(kind: DeviceRequest['kind'], ports: readonly PortId[]): Promise<SwitchOutcome> {
    await this.#quiet;
    // The batch reads before it writes, so that whatever a dead holder left there is seen.
    if (kind === 'observe') return { observed: await this.#worker.observe(ports) };
    const evidence = await this.#worker.settle(ports);
    return { evidence, carried: this.#worker.carried };
  }

  async #fromHolder(id: string): Promise<SwitchOutcome> {
    try {
      return decodeOutcome(await this.#waiting.get(id)!.promise);
    } finally {
      this.#waiting.delete(id);
      await this.#parts.storage.run((tx) => tx.deviceRequests.delete(id)).catch(() => undefined);
    }
  }

  async #answer({ id, kind, body }: DeviceRequest): Promise<void> {
    const { storage, log } = this.#parts;
    const outcome = await this.#here(kind, body['ports'] as readonly PortId[]).catch((thrown: unknown) => ({
      error: asCodedError(thrown),
    }));
    await storage
      .run((tx) => tx.deviceRequests.end(id, encodeOutcome(outcome)))
      .catch((thrown: unknown) =>
        log.warn(
          { switch: this.#name, error: asCodedError(thrown).message },
          'another instance was not answered',
        ),
      );
  }

  #used(): void {
    this.#using -= 1;
    if (this.#using === 0) this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    const { clock, timings, log } = this.#parts;
    this.#idle?.abort(new Error('anew'));
    const idle = new AbortController();
    this.#idle = idle;
    clock.sleep(timings.switchIdle, idle.signal).then(
      () =>
        this.#turn
          .run(() => this.#giveBack())
          .catch((thrown: unknown) =>
            log.warn({ switch: this.#name, error: asCodedError(thrown).message }, 'switch not given back'),
          ),
      () => undefined,
    );
  }

  async #giveBack(): Promise<void> {
    const { storage, instances } = this.#parts;
    if (!this.#held || this.#using > 0) return;
    await this.#worker.close();
    const name = this.#lease;
    // Until the database has said that it is still ours, it may be another's.
    this.#held = false;
    this.#doubtful = true;
    const given = await storage.run(async (tx) => {
      // Locked first: who leaves a request locks it too.
      await tx.leases.find(name, { lock: true });
      const waiting = await tx.deviceRequests.waiting();
      if (waiting.some(({ device }) => device === name)) return false;
      await tx.leases.release([name], instances.id);
      return true;
    });
    this.#doubtful = false;
    this.#held = !given;
    if (!given) this.#closeWhenIdle();
  }

  #unreadable(): ServiceError {
    return new ServiceError({
      code: 'internal.bug',
      what: 'the outcome is of another kind',
      where: this.#name,
    });
  }
}
