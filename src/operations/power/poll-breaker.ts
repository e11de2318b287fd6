import { milliseconds, type CodedError, type Duration } from '../../../plugin-api/index.ts';

export interface BreakerSettings {
  /** Pause between two polls while all is well. */
  readonly interval: Duration;
  /** So many failures in a row open the breaker. */
  readonly failures: number;
  /** Longest pause between two probes of a BMC that does not answer. */
  readonly longestPause: Duration;
}

/**
 * - `closed`: polled at every interval.
 * - `open`: it failed several times; probed at pauses that double.
 * - `blocked`: it refused user or password. BMCs lock out, so it is not asked again before somebody changed something.
 */
export type BreakerState = 'closed' | 'open' | 'blocked';

/** The circuit breaker of one BMC, for polls alone: a command of a person or a cloud is always really tried. */
export class PollBreaker {
  readonly #settings: BreakerSettings;
  #state: BreakerState = 'closed';
  #failures = 0;
  #lastError: CodedError | null = null;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** In a row, up to now. */
  get failures(): number {
    return this.#failures;
  }

  get lastError(): CodedError | null {
    return this.#lastError;
  }

  succeeded(): void {
    this.#state = 'closed';
    this.#failures = 0;
    this.#lastError = null;
  }

  failed(error: CodedError): void {
    this.#failures += 1;
    this.#lastError = error;
    if (error.code === 'power.auth') this.#state = 'blocked';
    else if (this.#failures >= this.#settings.failures || error.retry === 'operator') this.#state = 'open';
  }

  /** Until the next poll; null = none. */
  pause(): Duration | null {
    const { interval, failures, longestPause } = this.#settings;
    if (this.#state === 'blocked') return null;
    if (this.#state === 'closed') return interval;
    const doublings = Math.min(16, Math.max(0, this.#failures - failures) + 1);
    return milliseconds(Math.max(interval, Math.min(longestPause, interval * 2 ** doublings)));
  }
}
