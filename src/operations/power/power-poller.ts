import { setMaxListeners } from 'node:events';
import { milliseconds, seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import { isBmcTrouble } from '../../core/quarantine/quarantine.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { EventBus } from '../../kernel/events/event-bus.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import type { OperationEvents } from '../operation-events.ts';
import type { DeviceWatch } from '../quarantine/device-watch.ts';
import { PollBreaker, type BreakerState } from './poll-breaker.ts';
import { PollSchedule } from './poll-schedule.ts';

export interface PollSettings {
  /** How often each machine's power is read. */
  readonly interval: Duration;
  /** Part by which each pause varies at random. */
  readonly jitter: number;
  /** Readings at once of BMCs that answered the last time. */
  readonly concurrency: number;
  /** The same for BMCs that did not: they wait for each other and for nobody else. */
  readonly suspectConcurrency: number;
  /** A reading that takes longer gives its place to the next one, and goes on. */
  readonly patience: Duration;
  /** So many failures in a row, and a BMC is only probed now and then. */
  readonly failures: number;
  /** The longest pause between such probes. */
  readonly longestPause: Duration;
}

export const defaultPollSettings: PollSettings = {
  interval: seconds(60),
  jitter: 0.1,
  concurrency: 128,
  suspectConcurrency: 32,
  patience: seconds(1),
  failures: 3,
  longestPause: seconds(300),
};

/** Settings whose times follow from a poll interval other than the usual one. */
export function pollSettings(interval: Duration): PollSettings {
  const longestPause = milliseconds(5 * interval);
  return { ...defaultPollSettings, interval, longestPause };
}

/** Reads one machine's power; null = a command has it just now, or the machine is in other hands. */
export type PollReading = (machine: Machine, signal: AbortSignal) => Promise<unknown>;

export interface PollerParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly events: EventBus<OperationEvents>;
  readonly read: PollReading;
  readonly settings: PollSettings;
  /** Whether a machine is this instance's to read; all are unless given. */
  readonly holds?: ((id: MachineId) => boolean) | undefined;
  /** Hears how it goes with each BMC. */
  readonly watch?: Pick<DeviceWatch, 'bmcFailed'> | undefined;
  /** Hears of each machine that is forgotten, or has no BMC any more. */
  readonly gone?: ((id: MachineId) => void) | undefined;
  /** A number from 0 up to 1; `Math.random` unless given. */
  readonly random?: (() => number) | undefined;
}

/** How a machine's polling stands. */
export interface PollStatus {
  readonly state: BreakerState;
  /** Failures in a row. */
  readonly failures: number;
  /** Why the last reading failed; null when it did not. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

interface Polled {
  machine: Machine;
  breaker: PollBreaker;
  /** When its turn was, or is: the clock's monotonic milliseconds. */
  at: number;
  /** A reading runs, or waits for a place. */
  busy: boolean;
  /** An operation runs on the machine, and reads for itself. */
  held: boolean;
}

/** How finely polls are spread over the interval. */
const ticksPerInterval = 1_200;
const finestTick = 5;

/** The first round is so much faster than the following ones, because after a start nothing is known. */
const firstRoundHaste = 4;

/**
 * Reads the power of every machine again and again: evenly spread over the interval, machines that do not answer apart
 * from those that do.
 */
export class PowerPoller {
  readonly #parts: PollerParts;
  readonly #random: () => number;
  readonly #polled = new Map<MachineId, Polled>();
  readonly #schedule: PollSchedule<Polled>;
  readonly #tick: Duration;
  readonly #living: Semaphore;
  readonly #suspects: Semaphore;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #unsubscribe: (() => void)[] = [];
  /** Machines that could not be looked up, and will be in a while. */
  readonly #again = new Set<MachineId>();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: PollerParts) {
    const { settings, clock } = parts;
    this.#parts = parts;
    this.#random = parts.random ?? Math.random;
    this.#tick = milliseconds(Math.max(finestTick, settings.interval / ticksPerInterval));
    this.#schedule = new PollSchedule(this.#tick, clock.monotonic());
    this.#living = new Semaphore(settings.concurrency);
    this.#suspects = new Semaphore(settings.suspectConcurrency);
    // Every reading listens to it while it runs: hundreds at once are no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Begins with every machine that has a BMC. Rejects when the store cannot be read. */
  async start(): Promise<void> {
    const { storage, events, settings, clock } = this.#parts;
    this.#unsubscribe.push(
      events.on('machine', ({ machineId }) => this.#refresh(machineId)),
      events.on('lease', ({ machineId }) => this.#refresh(machineId)),
      events.on('operation', ({ machineId, endedAt }) => {
        if (endedAt === null) this.#hold(machineId);
        else this.#refresh(machineId);
      }),
    );
    const { machines, active } = await storage.run(async (tx) => ({
      machines: await tx.machines.list(),
      active: new Set((await tx.journal.listActive()).map(({ machineId }) => machineId)),
    }));
    const began = clock.monotonic();
    const withBmc = machines.filter((machine) => machine.bmc !== null && this.#holds(machine.id));
    withBmc.forEach((machine, i) => {
      const phase = (settings.interval * i) / withBmc.length;
      this.#add(machine, began + phase / firstRoundHaste, began + phase);
      if (!active.has(machine.id)) return;
      this.#hold(machine.id);
      // It may have ended while its machine was being read.
      this.#refresh(machine.id);
    });
    this.#loop = this.#run().catch((error: unknown) => {
      if (!this.#stopping.signal.aborted)
        this.#parts.log.error({ err: error }, 'power polling ended by a fault');
    });
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#stopping.abort(new Error('the poller stops'));
    await this.#loop;
    await Promise.all(this.#running);
  }

  /** null = the machine is not polled. */
  status(id: MachineId): PollStatus | null {
    const polled = this.#polled.get(id);
    if (!polled) return null;
    const { state, failures, lastError } = polled.breaker;
    return {
      state,
      failures,
      error: lastError && { code: lastError.code, message: lastError.message },
    };
  }

  /** How many BMCs are in which state. */
  counts(): Readonly<Record<BreakerState, number>> {
    const counts = { closed: 0, open: 0, blocked: 0 };
    for (const { breaker } of this.#polled.values()) counts[breaker.state] += 1;
    return counts;
  }

  /** Somebody else reached the BMC, so it is polled as usual again. */
  answered(id: MachineId): void {
    const polled = this.#polled.get(id);
    if (!polled || polled.breaker.failures === 0) return;
    polled.breaker.succeeded();
    this.#plan(polled);
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stopping;
    for (;;) {
      await clock.sleep(this.#tick, signal);
      for (const polled of this.#schedule.due(clock.monotonic())) {
        const reading = this.#take(polled);
        this.#running.add(reading);
        void reading.finally(() => this.#running.delete(reading));
      }
    }
  }

  /** One reading, when there is a place for it; never rejects. */
  async #take(polled: Polled): Promise<void> {
    if (polled.busy || polled.held) return;
    polled.busy = true;
    const lane = polled.breaker.failures === 0 ? this.#living : this.#suspects;
    const reading = await lane.run(async () => {
      if (!this.#mayRead(polled)) return null;
      const work = this.#read(polled);
      await this.#endOrPatience(work);
      return { work };
    });
    await reading?.work;
    polled.busy = false;
    if (this.#mayRead(polled)) this.#plan(polled);
  }

  /** A place is for readings that take their usual time; one that waits for a silent BMC costs nothing but the waiting. */
  async #endOrPatience(work: Promise<void>): Promise<void> {
    const enough = new AbortController();
    await Promise.race([
      work,
      this.#parts.clock.sleep(this.#parts.settings.patience, enough.signal).catch(() => undefined),
    ]);
    enough.abort(new Error('done'));
  }

  async #read(polled: Polled): Promise<void> {
    const { metrics, log, read } = this.#parts;
    const { machine, breaker } = polled;
    const was = breaker.state;
    try {
      const told = await read(machine, this.#stopping.signal);
      if (told === null) return;
      breaker.succeeded();
      metrics.powerPolls.inc({ outcome: 'read' });
      if (was !== 'closed') log.info({ machine: machine.hostname }, 'BMC answers again');
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return;
      const error = asCodedError(thrown);
      if (!isBmcTrouble(error)) {
        // The BMC did nothing wrong: what it told could not be written down, for example.
        metrics.powerPolls.inc({ outcome: error.code });
        log.warn({ machine: machine.hostname, error: error.message }, 'power not read');
        return;
      }
      breaker.failed(error);
      this.#parts.watch?.bmcFailed(machine, error);
      metrics.powerPolls.inc({ outcome: error.code });
      const facts = { machine: machine.hostname, error: error.message, failures: breaker.failures };
      if (breaker.state === was) log.debug(facts, 'BMC not read');
      else log.warn(facts, 'BMC not read; from now on it is only probed now and then, or not at all');
    }
  }

  /** The next turn, on the grid of the earlier ones, so that the load stays as even as it was laid out. */
  #plan(polled: Polled): void {
    const { clock, settings } = this.#parts;
    const pause = polled.breaker.pause();
    if (pause === null) return;
    const vary = 1 + settings.jitter * (2 * this.#random() - 1);
    const now = clock.monotonic();
    const next = Math.min(polled.at, now) + pause * vary;
    polled.at = next > now ? next : now + pause * settings.jitter * this.#random();
    this.#schedule.set(polled, polled.at);
  }

  #add(machine: Machine, first: number, grid: number): void {
    const { settings } = this.#parts;
    const polled: Polled = {
      machine,
      breaker: new PollBreaker(settings),
      at: first,
      busy: false,
      held: false,
    };
    this.#polled.set(machine.id, polled);
    this.#schedule.set(polled, first);
    // What follows the hasty first round is laid out over the whole interval.
    polled.at = grid - settings.interval;
  }

  #hold(id: MachineId): void {
    const polled = this.#polled.get(id);
    if (!polled) return;
    polled.held = true;
    this.#schedule.remove(polled);
  }

  /** Brings the polling of one machine in line with what is stored about it. */
  #refresh(id: MachineId): void {
    this.#load(id).catch((error: unknown) => {
      const { log, clock, settings } = this.#parts;
      log.error({ machine: id, err: error }, 'polling not brought up to date; it is tried again');
      // The end of an operation, or a new login, is told once: it must not be missed because the database was away.
      if (this.#again.has(id)) return;
      this.#again.add(id);
      clock.sleep(settings.interval, this.#stopping.signal).then(
        () => {
          this.#again.delete(id);
          this.#refresh(id);
        },
        () => undefined,
      );
    });
  }

  async #load(id: MachineId): Promise<void> {
    const { storage, clock, settings } = this.#parts;
    const { machine, active } = await storage.run(async (tx) => ({
      machine: await tx.machines.find(id),
      active: await tx.journal.active(id),
    }));
    if (this.#stopping.signal.aborted) return;
    const polled = this.#polled.get(id);
    if (!machine?.bmc) this.#parts.gone?.(id);
    if (!machine?.bmc || !this.#holds(id)) {
      if (polled) this.#schedule.remove(polled);
      this.#polled.delete(id);
      return;
    }
    if (!polled) {
      const soon = clock.monotonic() + (settings.interval / firstRoundHaste) * settings.jitter;
      this.#add(machine, soon, soon + settings.interval * (1 + this.#random()) * 0.5);
    } else {
      const changed = !sameAccess(polled.machine, machine);
      if (changed) polled.breaker = new PollBreaker(settings);
      polled.machine = machine;
      polled.held = false;
      // Whether the new address or password is right is worth knowing soon.
      if (changed) polled.at = clock.monotonic() - settings.interval * (1 - settings.jitter);
      if (!polled.busy) this.#plan(polled);
    }
    if (active) this.#hold(id);
  }

  /** Whether the machine is still polled, and no operation has it. */
  #mayRead(polled: Polled): boolean {
    const known = this.#polled.get(polled.machine.id) === polled;
    const { id } = polled.machine;
    return known && this.#holds(id) && !polled.held && !this.#stopping.signal.aborted;
  }

  #holds(id: MachineId): boolean {
    return this.#parts.holds?.(id) ?? true;
  }
}

/** Whether a BMC is reached as before, so that what is known of its answers still holds. */
function sameAccess(a: Machine, b: Machine): boolean {
  const [one, two] = [a.bmc, b.bmc];
  return (
    one?.host === two?.host &&
    one?.port === two?.port &&
    one?.username === two?.username &&
    one?.password.reveal() === two?.password.reveal() &&
    one?.kg?.reveal() === two?.kg?.reveal() &&
    one?.privilege === two?.privilege &&
    one?.minSuite === two?.minSuite
  );
}
