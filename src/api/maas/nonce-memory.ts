import type { Clock, Duration } from '../../../plugin-api/index.ts';

/** Nonces seen lately, in memory: so many at most, the oldest forgotten first. */
export class NonceMemory {
  readonly #clock: Clock;
  readonly #life: Duration;
  readonly #most: number;
  /** Until when (monotonic) each counts, the oldest first. */
  readonly #seen = new Map<string, number>();

  constructor(clock: Clock, life: Duration, most: number) {
    this.#clock = clock;
    this.#life = life;
    this.#most = most;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** False when the key used the nonce before. */
  take(tokenKey: string, nonce: string): boolean {
    const now = this.#clock.monotonic();
    for (const [name, until] of this.#seen) {
      if (until > now && this.#seen.size < this.#most) break;
      this.#seen.delete(name);
    }
    const name = `${tokenKey} ${nonce}`;
    if (this.#seen.has(name)) return false;
    this.#seen.set(name, now + this.#life);
    return true;
  }
}
