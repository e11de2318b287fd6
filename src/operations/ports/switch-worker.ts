import {
  type CodedError,
  DeviceError,
  describePort,
  milliseconds,
  portSatisfies,
  type Evidence,
  type ObservedSwitch,
  type PortId,
  type SwitchDriver,
  type SwitchSession,
  type SwitchTarget,
  type VlanId,
} from '../../../plugin-api/index.ts';
import type { PortRecord } from '../../core/network/port-state.ts';
import type { Switch } from '../../core/rack/wiring.ts';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { PortReading } from '../quarantine/device-watch.ts';
import { portEvents } from '../timeline/port-events.ts';
import { recordEvents } from '../timeline/record-event.ts';
import type { PortServiceParts } from './port-service.ts';
import { wantedOf, type Wanted } from './wanted.ts';

/** Somebody waits for these ports of one switch to be as desired. */
interface Request {
  readonly ports: readonly PortId[];
  readonly settled: Deferred<readonly Evidence[]>;
}

/**
 * The only one in this process who touches a certain switch (law 9), while this process has its lease: it collects requests
 * for a moment, then reads, plans, applies, reads back and saves for all of them in one session.
 */
export class SwitchWorker {
  readonly #name: string;
  readonly #parts: PortServiceParts;
  readonly #driverOf: (at: Switch) => SwitchDriver;
  readonly #turn = new Mutex();
  #queue: Request[] = [];
  /** When the first of the queue was asked for, by the monotonic clock. */
  #queuedAt = 0;
  #scheduled = false;
  /** Kept open between batches for a while: OS9 takes ten new sessions a minute. */
  #session: SwitchSession | null = null;
  #idle: AbortController | null = null;
  /** VLANs that all its uplinks carried when it was last read; null = never read, or a change of it failed. */
  #carried: ReadonlySet<VlanId> | null = null;

  constructor(name: string, parts: PortServiceParts, driverOf: (at: Switch) => SwitchDriver) {
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

  /** Whether all its uplinks carried these VLANs when it was last read. */
  carries(vlans: readonly VlanId[]): boolean {
    return vlans.every((vlan) => this.#carried?.has(vlan));
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
    try {
      await this.#runTogether(batch);
    } catch (thrown) {
      const error = asCodedError(thrown);
      this.#parts.watch?.switchFailed(this.#name, error);
      // One machine's bad port must not fail its neighbours: alone, each meets only its own trouble.
      const divisible = batch.length > 1 && error.retry !== 'later';
      if (!divisible) {
        for (const request of batch) request.settled.reject(error);
        return;
      }
      for (const request of batch)
        await this.#runTogether([request]).catch((own: unknown) => request.settled.reject(asCodedError(own)));
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
    const { log, metrics } = this.#parts;
    const at = await this.#switch();
    const ports = [...new Set(batch.flatMap((request) => request.ports))];
    const read = [...ports, ...at.uplinks];
    try {
      const { saved, ...first } = await this.#inSession(
        at,
        async (session, before) => {
          const wanted = await wantedOf(this.#parts.storage, at, ports, before);
          const driver = this.#driverOf(at);
          const steps = driver.plan(before, wanted.intent);
          let after = before;
          if (steps.length > 0) {
            log.debug({ switch: at.name, lines: driver.render(steps) }, 'switch batch');
            this.#carried = null;
            await session.apply(steps);
            after = await session.read(read);
          }
          const evidence = await this.#verify(at, after, wanted, before);
          // What an earlier change left unsaved is tried again, also one of an earlier process.
          const due = steps.length > 0 || at.unsavedSince !== null;
          const saved = due ? await this.#save(at, session) : 'yes';
          return { evidence, wanted, saved };
        },
        read,
      );
      const reached = saved === 'broke off' ? await this.#readAgain(at, read, first.wanted) : first.evidence;
      metrics.switchBatches.inc({ outcome: 'done' });
      if (saved === 'yes') this.#parts.watch?.switchAnswered(this.#name);
      for (const request of batch) request.settled.resolve(request.ports.map((port) => reached.get(port)!));
    } catch (thrown) {
      metrics.switchBatches.inc({ outcome: 'failed' });
      throw thrown;
    }
  }

  /** A session that broke while it saved may have broken because the switch restarted, without what was not saved. */
  async #readAgain(
    at: Switch,
    read: readonly PortId[],
    wanted: Wanted,
  ): Promise<ReadonlyMap<PortId, Evidence>> {
    this.#carried = null;
    await this.#drop();
    return this.#inSession(at, (_session, observed) => this.#verify(at, observed, wanted), read);
  }

  /** Writes down what was read. @throws DeviceError `switch.not-verified` where it is not what is wanted. */
  async #verify(
    at: Switch,
    observed: ObservedSwitch,
    { records, intent }: Wanted,
    before: ObservedSwitch = observed,
  ): Promise<ReadonlyMap<PortId, Evidence>> {
    const evidence = await this.#record(at, observed, records, before);
    verifyUplinks(at, observed, intent.carried);
    this.#carried = new Set(intent.carried);
    return evidence;
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

  /** Writes down what was read, and fails for ports that are not as desired. */
  async #record(
    at: Switch,
    observed: ObservedSwitch,
    records: readonly PortRecord[],
    before: ObservedSwitch,
  ): Promise<ReadonlyMap<PortId, Evidence>> {
    const { clock, storage } = this.#parts;
    const evidence = new Map<PortId, Evidence>();
    const wrong: string[] = [];
    const readings: PortReading[] = [];
    await storage.run(async (tx) => {
      readings.length = 0;
      for (const record of records) {
        const now = observed.ports.get(record.port);
        const good = now !== undefined && portSatisfies(now, record.desired, observed.defaultVlan);
        await tx.ports.observe({
          switch: at.name,
          port: record.port,
          observed: now ?? null,
          observedVersion: good ? record.desiredVersion : record.observedVersion,
          observedAt: clock.now(),
        });
        const shown = now ? describePort(now) : 'not there';
        evidence.set(record.port, {
          summary: `${at.name} ${record.port}: ${shown} (read back)`,
          verified: true,
        });
        readings.push({ port: record.port, observed: now ?? null, asDesired: good });
        if (!good) wrong.push(`${record.port} is ${shown}`);
      }
      await recordEvents(tx, portEvents(records, before, observed, clock.now()));
      if (at.defaultVlan !== observed.defaultVlan) {
        const fresh = await tx.racks.findSwitch(at.name);
        if (fresh) await tx.racks.updateSwitch({ ...fresh, defaultVlan: observed.defaultVlan });
      }
    });
    this.#parts.watch?.portsRead(at.name, readings);
    if (wrong.length > 0) {
      throw new DeviceError({
        code: 'switch.not-verified',
        what: `read back after the change: ${wrong.join('; ')}`,
        where: at.name,
      });
    }
    return evidence;
  }

  /** A change that is not saved works until a reload: an alarm and another try, not a failed operation. */
  async #save(at: Switch, session: SwitchSession): Promise<'yes' | 'no' | 'broke off'> {
    const { clock, log, metrics, storage } = this.#parts;
    let failure: string | null = null;
    let saved: 'yes' | 'no' | 'broke off' = 'yes';
    try {
      await session.save();
    } catch (thrown) {
      const error = asCodedError(thrown);
      failure = error.message;
      this.#parts.watch?.switchFailed(at.name, error);
      saved = error.code === 'switch.unsaved' ? 'no' : 'broke off';
    }
    await storage.run(async (tx) => {
      const fresh = await tx.racks.findSwitch(at.name);
      if (!fresh) return;
      const unsavedSince = failure === null ? null : (fresh.unsavedSince ?? clock.now());
      if (fresh.unsavedSince !== unsavedSince) await tx.racks.updateSwitch({ ...fresh, unsavedSince });
      if (failure !== null && fresh.unsavedSince === null) {
        await tx.alarms.insert({
          id: newSortableId('al', clock.now()),
          at: clock.now(),
          code: 'switch.unsaved',
          machineId: null,
          text: failure,
        });
      }
    });
    if (failure === null) return saved;
    metrics.alarms.inc({ code: 'switch.unsaved' });
    log.warn({ switch: at.name, error: failure }, 'change is active but not saved');
    return saved;
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
    if (at.hostKeyPin === null && session.hostKey !== null) {
      await this.#parts.storage.run(async (tx) => {
        const fresh = await tx.racks.findSwitch(at.name);
        if (fresh?.hostKeyPin === null)
          await tx.racks.updateSwitch({ ...fresh, hostKeyPin: session.hostKey });
      });
      this.#parts.log.info({ switch: at.name, hostKey: session.hostKey }, 'host key pinned at first use');
    }
    return session;
  }
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

function verifyUplinks(at: Switch, observed: ObservedSwitch, carried: readonly VlanId[]): void {
  for (const uplink of at.uplinks) {
    const tagged = observed.ports.get(uplink)?.tagged ?? [];
    const missing = carried.filter((vlan) => !tagged.includes(vlan));
    if (missing.length > 0) {
      throw new DeviceError({
        code: 'switch.not-verified',
        what: `uplink ${uplink} does not carry VLAN ${missing.join(', ')}`,
        where: at.name,
      });
    }
  }
}
