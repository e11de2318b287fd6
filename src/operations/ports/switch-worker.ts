import {
  type Clock,
  type CodedError,
  DeviceError,
  milliseconds,
  type Evidence,
  type ObservedSwitch,
  type PortId,
  type SwitchDriver,
  type SwitchSession,
  type SwitchStep,
  type SwitchTarget,
  type VlanId,
} from '../../../plugin-api/index.ts';
import type { Switch } from '../../core/rack/wiring.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import { portEvents } from '../timeline/port-events.ts';
import { recordEvents } from '../timeline/record-event.ts';
import type { DeviceWatch } from '../quarantine/device-watch.ts';
import type { Timings } from '../timings.ts';
import { oldReading, portFault, readBack, type ReadBack } from './read-back.ts';
import { wantedOf, type Wanted } from './wanted.ts';

export interface SwitchWorkerParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Throws while nothing may be written to any device. */
  readonly mayWrite?: (() => void) | undefined;
  /** Hears how it goes with each switch and port. */
  readonly watch?: Pick<DeviceWatch, 'portsRead' | 'switchFailed' | 'switchAnswered'> | undefined;
}

/** Somebody waits for these ports of one switch to be as desired. */
interface Request {
  readonly ports: readonly PortId[];
  readonly settled: Deferred<readonly Evidence[]>;
}

/** How a save ended; `brokeOff` = the session broke, and the switch may have restarted. */
interface Saving {
  readonly failure: string | null;
  readonly brokeOff: boolean;
}

/** What a batch came to. */
interface Changed {
  /** As it is stored by now. */
  readonly at: Switch;
  readonly wanted: Wanted;
  readonly found: ReadBack;
  readonly before: ObservedSwitch;
  readonly after: ObservedSwitch;
  /** Null = there was nothing to save, or it is not to be saved as it is. */
  readonly saving: Saving | null;
  /** As it is now. */
  readonly unsavedSince: number | null;
}

/**
 * The only one in this process who touches a certain switch (law 9), while this process has its lease: it collects requests
 * for a moment, then reads, plans, applies, reads back and saves for all of them in one session.
 */
export class SwitchWorker {
  readonly #name: string;
  readonly #parts: SwitchWorkerParts;
  readonly #driverOf: (at: Switch) => SwitchDriver;
  readonly #turn = new Mutex();
  #queue: Request[] = [];
  /** When the first of the queue was asked for, by the monotonic clock. */
  #queuedAt = 0;
  #scheduled = false;
  /** Kept open between batches for a while: OS9 takes ten new sessions a minute. */
  #session: SwitchSession | null = null;
  /** Where that session leads. */
  #sessionTo = '';
  #idle: AbortController | null = null;
  /** VLANs that all its uplinks carried when it was last read; null = never read, or a change of it failed. */
  #carried: ReadonlySet<VlanId> | null = null;
  /** Which its uplinks were then. */
  #carriedOn = '';
  /** When that was read, by the monotonic clock. */
  #carriedAt = 0;
  /** People know that it cannot be saved. */
  #alarmed = false;

  constructor(name: string, parts: SwitchWorkerParts, driverOf: (at: Switch) => SwitchDriver) {
    this.#name = name;
    this.#parts = parts;
    this.#driverOf = driverOf;
  }

  /** Resolves when the ports are read back as desired; an empty list brings only the uplinks' VLANs up to date. */
  settle(ports: readonly PortId[]): Promise<readonly Evidence[]> {
    try {
      this.#parts.mayWrite?.();
    } catch (thrown) {
      return Promise.reject(asCodedError(thrown));
    }
    const request: Request = { ports, settled: new Deferred() };
    this.#queue.push(request);
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#queuedAt = this.#parts.clock.monotonic();
      // Nobody is there to wait for, when nothing is under way.
      const alone = this.#turn.depth === 0;
      void this.#turn.run(() => this.#collectAndRun(alone));
    }
    return request.settled.promise;
  }

  /** VLANs that all its uplinks carried when it was last read; null = not known. */
  get carried(): readonly VlanId[] | null {
    return this.#carried && [...this.#carried];
  }

  /** Whether all these uplinks of it carried these VLANs when it was last read. */
  carries(vlans: readonly VlanId[], uplinks: readonly PortId[]): boolean {
    return this.#carriedOn === String(uplinks) && vlans.every((vlan) => this.#carried?.has(vlan));
  }

  /**
   * Whether just these were wanted on its uplinks when it was last found or made so, and that is not long ago. What is under way may have begun
   * before they were wanted, and take one of them away.
   */
  isUpToDate(carried: readonly VlanId[], uplinks: readonly PortId[]): boolean {
    return (
      this.#turn.depth === 0 &&
      this.#carried?.size === carried.length &&
      this.carries(carried, uplinks) &&
      this.#parts.clock.monotonic() - this.#carriedAt < oldReading
    );
  }

  /** Reads the given ports without changing anything. */
  observe(ports: readonly PortId[]): Promise<ObservedSwitch> {
    return this.#turn.run(async () => {
      const at = await this.#switch();
      return this.#inSession(at, async (_session, observed) => observed, [...ports, ...at.uplinks]);
    });
  }

  /** Closes the session that is kept open, once the work under way is over. */
  close(): Promise<void> {
    return this.#turn.run(() => this.#drop());
  }

  async #collectAndRun(alone: boolean): Promise<void> {
    const { clock, timings } = this.#parts;
    const left = this.#queuedAt + timings.switchBatchDelay - clock.monotonic();
    if (!alone && left > 0) await clock.sleep(milliseconds(left));
    // Logging in takes seconds: whoever asks meanwhile comes along.
    const failure = await this.#logIn();
    this.#scheduled = false;
    const batch = this.#queue;
    this.#queue = [];
    if (failure !== null) {
      this.#parts.metrics.switchBatches.inc({ outcome: 'failed' });
      this.#parts.watch?.switchFailed(this.#name, failure);
      for (const request of batch) request.settled.reject(failure);
      return;
    }
    await this.#runDivided(batch);
  }

  /** One machine's bad port must not fail its neighbours: a batch that failed is tried again in halves, down to the one. */
  async #runDivided(batch: readonly Request[]): Promise<void> {
    try {
      await this.#runTogether(batch);
    } catch (thrown) {
      const error = asCodedError(thrown);
      this.#parts.watch?.switchFailed(this.#name, error);
      if (batch.length === 1 || error.retry === 'later') {
        for (const request of batch) request.settled.reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#runDivided(batch.slice(0, half));
      await this.#runDivided(batch.slice(half));
    }
  }

  /** Makes sure of a session; gives why there is none. */
  async #logIn(): Promise<CodedError | null> {
    try {
      this.#session ??= await this.#open(await this.#switch());
      return null;
    } catch (thrown) {
      return asCodedError(thrown);
    }
  }

  async #runTogether(batch: readonly Request[]): Promise<void> {
    const { metrics } = this.#parts;
    const at = await this.#switch();
    const ports = [...new Set(batch.flatMap((request) => request.ports))];
    const read = [...ports, ...at.uplinks];
    try {
      const changed = await this.#inSession(
        at,
        (session, before) => this.#change(at, session, before, ports),
        read,
      );
      if ('refused' in changed) throw changed.refused;
      const { saving } = changed;
      const found = saving?.brokeOff ? await this.#readAgain(at, read, changed) : changed.found;
      metrics.switchBatches.inc({ outcome: found.wrong.size === 0 ? 'done' : 'failed' });
      if (!saving?.failure) this.#parts.watch?.switchAnswered(this.#name);
      for (const { ports: own, settled } of batch) {
        const fault = portFault(at, found, own);
        if (fault) settled.reject(fault);
        else settled.resolve(own.map((port) => found.evidence.get(port)!));
      }
    } catch (thrown) {
      metrics.switchBatches.inc({ outcome: 'failed' });
      throw thrown;
    }
  }

  /** Plans, applies, reads back, saves, and writes down what came of it. `refused` = nothing was sent. */
  async #change(
    at: Switch,
    session: SwitchSession,
    before: ObservedSwitch,
    ports: readonly PortId[],
  ): Promise<Changed | { readonly refused: CodedError }> {
    const { clock, log, storage } = this.#parts;
    const wanted = await wantedOf(storage, at, ports, before);
    const driver = this.#driverOf(at);
    let steps: readonly SwitchStep[];
    try {
      steps = driver.plan(before, wanted.intent);
    } catch (thrown) {
      return { refused: asCodedError(thrown) };
    }
    // An attempt that was cut after its change, and before it was saved and written down, shows by this.
    const pending = wanted.records.some(
      ({ observedVersion, desiredVersion }) => observedVersion !== desiredVersion,
    );
    let since = at.unsavedSince;
    let after = before;
    if (steps.length > 0) {
      log.debug({ switch: at.name, lines: driver.render(steps) }, 'switch batch');
      this.#carried = null;
      if (!pending) since ??= await this.#markUnsaved();
      await session.apply(steps);
      after = await session.read([...ports, ...at.uplinks]);
    }
    const now = clock.now();
    const found = readBack(at, wanted, after, now);
    const due = pending || since !== null;
    const saving = due && !found.uplinkFault ? await this.#save(at, session) : null;
    const outcome: Changed = {
      at: { ...at, unsavedSince: since },
      wanted,
      found,
      before,
      after,
      saving,
      unsavedSince: due && saving?.failure !== null ? (since ?? now) : null,
    };
    if (!saving?.brokeOff) await this.#conclude(outcome);
    return outcome;
  }

  /** A session that broke while it saved may have broken because the switch restarted, without what was not saved. */
  async #readAgain(at: Switch, read: readonly PortId[], changed: Changed): Promise<ReadBack> {
    this.#carried = null;
    await this.#drop();
    return this.#inSession(
      at,
      async (_session, now) => {
        const found = readBack(at, changed.wanted, now, this.#parts.clock.now());
        await this.#conclude({ ...changed, found, before: now, after: now });
        return found;
      },
      read,
    );
  }

  /**
   * Runs `work` in the open session, or in a new one. The first reading tells whether an old session still lives; nothing was
   * sent before it, so it may be tried again in a new one. After any failure the session is gone.
   */
  async #inSession<T>(
    at: Switch,
    work: (session: SwitchSession, before: ObservedSwitch) => Promise<T>,
    ports: readonly PortId[] = at.uplinks,
  ): Promise<T> {
    this.#idle?.abort();
    await this.#dropOther(at);
    const kept = this.#session;
    try {
      let session = kept ?? (await this.#open(at));
      this.#session = session;
      let before: ObservedSwitch;
      try {
        before = await session.read(ports);
      } catch (thrown) {
        if (!kept) throw thrown;
        await this.#drop();
        session = this.#session = await this.#open(at);
        before = await session.read(ports);
      }
      const result = await work(session, before);
      this.#closeWhenIdle();
      return result;
    } catch (thrown) {
      await this.#drop();
      throw thrown;
    }
  }

  /** After an upload the same name may be at another address: nothing that is meant for that one may be sent to this one. */
  async #dropOther(at: Switch): Promise<void> {
    if (this.#sessionTo === addressOf(at)) return;
    this.#carried = null;
    await this.#drop();
  }

  #closeWhenIdle(): void {
    const idle = new AbortController();
    this.#idle = idle;
    this.#parts.clock.sleep(this.#parts.timings.switchIdle, idle.signal).then(
      () => this.#turn.run(async () => (idle.signal.aborted ? undefined : this.#drop())),
      () => undefined,
    );
  }

  async #drop(): Promise<void> {
    this.#idle?.abort();
    const session = this.#session;
    this.#session = null;
    await session
      ?.close()
      .catch((error: unknown) =>
        this.#parts.log.debug({ switch: this.#name, error: asCodedError(error).message }, 'close failed'),
      );
  }

  /** Writes down what was read, and whether it is saved. @throws DeviceError where the uplinks are not as wanted */
  async #conclude({ at, wanted, found, before, after, saving, unsavedSince }: Changed): Promise<void> {
    const { clock, log, metrics, storage, watch } = this.#parts;
    const now = clock.now();
    const events = portEvents(wanted.records, before, after, now);
    const { defaultVlan } = after;
    const other = defaultVlan !== at.defaultVlan || unsavedSince !== at.unsavedSince;
    const failure = saving?.failure ?? null;
    // Once, until it can be saved again.
    const alarm = failure !== null && !this.#alarmed;
    if (found.news.length > 0 || events.length > 0 || other || alarm)
      await storage.run(async (tx) => {
        for (const observation of found.news) await tx.ports.observe(observation);
        await recordEvents(tx, events);
        const fresh = other ? await tx.racks.findSwitch(at.name) : null;
        if (fresh) await tx.racks.updateSwitch({ ...fresh, defaultVlan, unsavedSince });
        if (alarm)
          await tx.alarms.insert({
            id: newSortableId('al', now),
            at: now,
            code: 'switch.unsaved',
            machineId: null,
            text: failure,
          });
      });
    if (alarm) metrics.alarms.inc({ code: 'switch.unsaved' });
    if (failure !== null) log.warn({ switch: at.name, error: failure }, 'change is active but not saved');
    if (saving) this.#alarmed = failure !== null;
    watch?.portsRead(at.name, found.readings);
    if (found.uplinkFault) throw found.uplinkFault;
    this.#carried = new Set(wanted.intent.carried);
    this.#carriedOn = String(at.uplinks);
    this.#carriedAt = this.#parts.clock.monotonic();
  }

  /** Writes down that the switch has something to save, before anything is changed. */
  async #markUnsaved(): Promise<number> {
    const { clock, storage } = this.#parts;
    const now = clock.now();
    await storage.run(async (tx) => {
      const fresh = await tx.racks.findSwitch(this.#name);
      if (fresh?.unsavedSince === null) await tx.racks.updateSwitch({ ...fresh, unsavedSince: now });
    });
    return now;
  }

  /** A change that is not saved works until a reload: an alarm and another try, not a failed operation. */
  async #save(at: Switch, session: SwitchSession): Promise<Saving> {
    try {
      await session.save();
      return { failure: null, brokeOff: false };
    } catch (thrown) {
      const error = asCodedError(thrown);
      this.#parts.watch?.switchFailed(at.name, error);
      return { failure: error.message, brokeOff: error.code !== 'switch.unsaved' };
    }
  }

  async #switch(): Promise<Switch> {
    const at = await this.#parts.storage.run((tx) => tx.racks.findSwitch(this.#name));
    if (at) return at;
    throw new DeviceError({
      code: 'switch.port-unknown',
      what: `no switch "${this.#name}" in the rack config`,
    });
  }

  async #open(at: Switch): Promise<SwitchSession> {
    const session = await this.#driverOf(at).open(targetOf(at));
    this.#sessionTo = addressOf(at);
    if (at.hostKeyPin === null && session.hostKey !== null) {
      await this.#parts.storage.run(async (tx) => {
        const fresh = await tx.racks.findSwitch(at.name);
        if (fresh?.hostKeyPin === null && addressOf(fresh) === addressOf(at))
          await tx.racks.updateSwitch({ ...fresh, hostKeyPin: session.hostKey });
      });
      this.#parts.log.info({ switch: at.name, hostKey: session.hostKey }, 'host key pinned at first use');
    }
    return session;
  }
}

function addressOf({ type, transport, host, tcpPort }: Switch): string {
  return JSON.stringify([type, transport, host, tcpPort]);
}

export function targetOf(at: Switch): SwitchTarget {
  return {
    name: at.name,
    type: at.type,
    host: at.host,
    transport: at.transport,
    port: at.tcpPort,
    username: at.username,
    password: at.password,
    enablePassword: at.enablePassword ?? undefined,
    hostKeyPin: at.hostKeyPin ?? undefined,
    legacyCrypto: at.legacyCrypto,
  };
}
