import { minutes, type Clock, type Duration } from '../../../plugin-api/index.ts';

export interface FailureLimitOptions {
  /** So many failures within the window are borne (default 20). */
  readonly failures?: number;
  /** Default 1 min. */
  readonly window?: Duration;
  /** Sources that are remembered; beyond it the one that failed longest ago is forgotten (default 10 000). */
  readonly sources?: number;
}

/** Counts failures by source, in memory, each source in windows of its own. */
export class FailureLimit {
  readonly #clock: Clock;
  readonly #failures: number;
  readonly #window: Duration;
  readonly #sources: number;
  /** In order of the last failure, the oldest first. */
  readonly #seen = new Map<string, { readonly since: number; readonly count: number }>();

  constructor(clock: Clock, options: FailureLimitOptions = {}) {
    this.#clock = clock;
    this.#failures = options.failures ?? 20;
    this.#window = options.window ?? minutes(1);
    this.#sources = options.sources ?? 10_000;
  }

  /** Milliseconds until the source may try again; 0 = now. */
  wait(source: string): number {
    const seen = this.#current(source);
    return seen && seen.count >= this.#failures ? seen.since + this.#window - this.#clock.monotonic() : 0;
  }

  fail(source: string): void {
    const { since, count } = this.#current(source) ?? { since: this.#clock.monotonic(), count: 0 };
    this.#seen.delete(source);
    this.#seen.set(source, { since, count: count + 1 });
    if (this.#seen.size > this.#sources) this.#seen.delete(this.#seen.keys().next().value!);
  }

  #current(source: string): { readonly since: number; readonly count: number } | null {
    const seen = this.#seen.get(source);
    return seen && this.#clock.monotonic() < seen.since + this.#window ? seen : null;
  }
}
