import type { Clock } from '../../../../plugin-api/index.ts';

/**
 * How long ago moments in notes are. A note outlives the process and holds wall time, which may jump: here it only says which
 * moment is meant, and the time is counted by the steady clock from when this process first met it.
 */
export class NotedMoments {
  readonly #clock: Clock;
  readonly #met = new Map<string, { readonly at: number; readonly monotonic: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since this moment of the machine was met; 0 the first time. */
  since(systemId: string, what: 'sent' | 'deployed', at: number): number {
    const key = `${what} ${systemId}`;
    const now = this.#clock.monotonic();
    const met = this.#met.get(key);
    if (met?.at === at) return now - met.monotonic;
    this.#met.set(key, { at, monotonic: now });
    return 0;
  }
}
