import type { Clock, Duration } from '../../../plugin-api/index.ts';

/** A clock that moves only when told: for tests of anything that waits. */
export class ManualClock implements Clock {
  #elapsed = 0;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  readonly #start: number;

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#start = start;
  }

  now(): number {
    return this.#start + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  /** How many sleeps are pending: lets a test wait until the code under test sleeps. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  sleep(time: Duration, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const leave = (): void => {
        this.#sleepers = this.#sleepers.filter((s) => s !== sleeper);
        reject(signal!.reason as Error);
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const sleeper = { at: this.#elapsed + time, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  /** Moves time forward and wakes, in order, everyone whose time has come. */
  async advance(time: Duration): Promise<void> {
    const end = this.#elapsed + time;
    for (;;) {
      const next = this.#sleepers.filter((s) => s.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#elapsed = Math.max(this.#elapsed, next.at);
      this.#sleepers = this.#sleepers.filter((s) => s !== next);
      next.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#elapsed = end;
  }
}
