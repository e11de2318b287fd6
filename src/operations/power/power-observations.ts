import type { Clock, Duration, PowerState } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../core/machine/machine.ts';

/** What a BMC last told about the power of its machine. */
export interface PowerObservation {
  readonly state: PowerState;
  /** When it was read; epoch milliseconds. */
  readonly at: number;
}

interface Entry {
  /** Changes that are under way. */
  changing: number;
  /** A new one at the begin and the end of each change: a reading that began in another epoch may be older than the change. */
  epoch: number;
  seen: (PowerObservation & { readonly monotonic: number }) | null;
}

/** A reading that began, and the epoch it belongs to. */
export interface ReadingTicket {
  readonly epoch: number;
}

/**
 * The power of machines as last read, in memory: the device is the truth about state, and this is only what it said. A
 * reading counts only when no power command of ours ran while it was made.
 */
export class PowerObservations {
  readonly #clock: Clock;
  readonly #entries = new Map<MachineId, Entry>();
  /** The last one: a reading that began before its machine was forgotten is of no later epoch. */
  #epochs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs a power command; what was seen before it no longer counts. */
  async change<T>(id: MachineId, command: () => Promise<T>): Promise<T> {
    const entry = this.#entry(id);
    entry.changing += 1;
    entry.epoch = this.#nextEpoch();
    entry.seen = null;
    try {
      return await command();
    } finally {
      entry.changing -= 1;
      entry.epoch = this.#nextEpoch();
      entry.seen = null;
    }
  }

  /** To be taken before a reading begins; null = a power command runs, and what is read meanwhile tells nothing. */
  begin(id: MachineId): ReadingTicket | null {
    const { changing, epoch } = this.#entry(id);
    return changing > 0 ? null : { epoch };
  }

  /** Keeps what was read; false = a power command came in between, and it does not count. */
  note(id: MachineId, ticket: ReadingTicket | null, state: PowerState): boolean {
    const entry = this.#entry(id);
    if (ticket === null || entry.epoch !== ticket.epoch) return false;
    entry.seen = { state, at: this.#clock.now(), monotonic: this.#clock.monotonic() };
    return true;
  }

  /** The last reading, unless it is older than `maxAge`. */
  fresh(id: MachineId, maxAge: Duration): PowerObservation | null {
    const seen = this.#entries.get(id)?.seen;
    if (!seen || this.#clock.monotonic() - seen.monotonic > maxAge) return null;
    return { state: seen.state, at: seen.at };
  }

  /** What was seen no longer counts, nor what is just being read. */
  outdate(id: MachineId): void {
    const entry = this.#entry(id);
    entry.epoch = this.#nextEpoch();
    entry.seen = null;
  }

  /** Forgets a machine, and what is just being read of it. */
  forget(id: MachineId): void {
    this.#entries.delete(id);
  }

  #entry(id: MachineId): Entry {
    const known = this.#entries.get(id);
    if (known) return known;
    const entry: Entry = { changing: 0, epoch: this.#nextEpoch(), seen: null };
    this.#entries.set(id, entry);
    return entry;
  }

  #nextEpoch(): number {
    return (this.#epochs += 1);
  }
}
