import { milliseconds, minutes, type Clock, type Duration } from '../../../plugin-api/index.ts';

export interface FailureLimitOptions {
  /** So many failures within the window are borne (default 20). */
  readonly failures?: number;
  /** How long a source then has to wait at first; doubled each time it comes to that again (default 1 min). */
  readonly window?: Duration;
  /** The longest wait; a source that was quiet for so long begins anew (default 15 min). */
  readonly longest?: Duration;
  /** Sources that are remembered; beyond it the one that failed longest ago is forgotten (default 10 000). */
  readonly sources?: number;
}

interface Seen {
  /** Monotonic: when the failures that count began, when the last one was, and until when the source has to wait. */
  readonly since: number;
  readonly last: number;
  readonly until: number;
  readonly count: number;
  /** How often it had to wait. */
  readonly waits: number;
}

/** Counts failures by source, in memory, each source in windows of its own. */
export class FailureLimit {
  readonly #clock: Clock;
  readonly #failures: number;
  readonly #window: Duration;
  readonly #longest: Duration;
  readonly #sources: number;
  /** In order of the last failure, the oldest first. */
  readonly #seen = new Map<string, Seen>();

  constructor(clock: Clock, options: FailureLimitOptions = {}) {
    this.#clock = clock;
    this.#failures = options.failures ?? 20;
    this.#window = options.window ?? minutes(1);
    this.#longest = milliseconds(Math.max(options.longest ?? minutes(15), this.#window));
    this.#sources = options.sources ?? 10_000;
  }

  /** Milliseconds until the source may try again; 0 = now. */
  wait(source: string): number {
    const seen = this.#seen.get(source);
    return seen ? Math.max(0, seen.until - this.#clock.monotonic()) : 0;
  }

  fail(source: string): void {
    const now = this.#clock.monotonic();
    const before = this.#current(source, now);
    const counted = before !== null && now < before.since + this.#window && now >= before.until;
    const { since, count } = counted ? before : { since: now, count: 0 };
    const waits = before?.waits ?? 0;
    const next =
      count + 1 < this.#failures
        ? { since, last: now, until: before?.until ?? 0, count: count + 1, waits }
        : { since: now, last: now, until: now + this.#waitAfter(waits), count: 0, waits: waits + 1 };
    this.#seen.delete(source);
    this.#seen.set(source, next);
    if (this.#seen.size > this.#sources) this.#seen.delete(this.#seen.keys().next().value!);
  }

  #waitAfter(waits: number): number {
    return Math.min(this.#longest, this.#window * 2 ** Math.min(waits, 30));
  }

  #current(source: string, now: number): Seen | null {
    const seen = this.#seen.get(source);
    return seen && now < Math.max(seen.last, seen.until) + this.#longest ? seen : null;
  }
}
