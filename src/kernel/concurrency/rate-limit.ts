import type { Clock } from '../../../plugin-api/index.ts';

export interface RateLimitOptions {
  /** Things a second that each source may do for ever; 0 = no limit. */
  readonly rate: number;
  /** Things that a source which was quiet may do at once. */
  readonly burst: number;
  /** Sources that are remembered; beyond it the one that came longest ago is forgotten, and begins with a full burst (default 10 000). */
  readonly sources?: number;
}

/** A bucket of tokens for each source, in memory. */
export class RateLimit {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #options: RateLimitOptions;
  readonly #sources: number;
  /** In order of coming, the oldest first. */
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(clock: Pick<Clock, 'monotonic'>, options: RateLimitOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#sources = options.sources ?? 10_000;
  }

  /** Counts one, and returns 0; or returns the milliseconds until the source may do the next one. */
  take(source: string): number {
    const { rate, burst } = this.#options;
    if (rate <= 0) return 0;
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(source) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) * rate) / 1_000);
    bucket.at = now;
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    if (this.#buckets.size > this.#sources) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (bucket.left < 1) return ((1 - bucket.left) * 1_000) / rate;
    bucket.left -= 1;
    return 0;
  }
}
