import { milliseconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { retained, type PruneOptions, type Retained } from '../../core/storage/timeline.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';

/** How long each kind of row is kept. */
export type Retention = Readonly<Record<Retained, Duration>>;

export interface PrunerOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly retention: Retention;
  /** From the end of a pass to the next. */
  readonly interval: Duration;
  /** Rows that one unit of work looks at. Default 200; of operations, whose steps go with them, a tenth. */
  readonly rows?: number;
  /** Between two units: others go first. Default 20 ms. */
  readonly pause?: Duration;
  /** Whether it is this process's turn, of all that share the database. Default always. */
  readonly mayRun?: () => boolean;
}

/** How many rows of each kind a pass removed, or would remove. */
export type Pruned = Readonly<Record<Retained, number>>;

/**
 * Removes what is older than its retention, in the background, in units of work so small that nobody waits for one of them. What is
 * active never goes: `RetentionStore` says what that is. Two processes that do it at once do the same work twice, and no harm.
 */
export class Pruner {
  readonly #options: PrunerOptions;
  readonly #stop = new AbortController();
  #pass: Promise<Pruned> | null = null;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: PrunerOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, interval, log, mayRun = () => true } = this.#options;
    const loop = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(interval, this.#stop.signal);
        if (!mayRun()) continue;
        await this.prune().catch((thrown: unknown) => {
          if (this.#stop.signal.aborted) return;
          log.warn(
            { error: asCodedError(thrown).message },
            'old rows could not all be removed; it goes on later',
          );
        });
      }
    };
    this.#loop = loop().catch(() => undefined);
  }

  /** One pass over everything, or the one that is under way. Rejects when the service stops. */
  prune(): Promise<Pruned> {
    this.#pass ??= this.#prune().finally(() => {
      this.#pass = null;
    });
    return this.#pass;
  }

  /** What a pass would remove now: the same walk, without effect (law 8). */
  plan(): Promise<Pruned> {
    return this.#walk(true);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the service stops'));
    await Promise.allSettled([this.#loop, this.#pass]);
  }

  async #prune(): Promise<Pruned> {
    const { clock, log, metrics } = this.#options;
    const pruned = await this.#walk(false);
    metrics.pruneLast.set(clock.now() / 1_000);
    if (retained.some((what) => pruned[what] > 0)) log.info({ ...pruned }, 'old rows removed');
    return pruned;
  }

  async #walk(dryRun: boolean): Promise<Pruned> {
    const { clock, metrics, pause = milliseconds(20), retention, rows = 200, storage } = this.#options;
    const counts = Object.fromEntries(retained.map((what) => [what, 0])) as Record<Retained, number>;
    for (const what of retained) {
      const before = clock.now() - retention[what];
      const limit = what === 'operations' ? Math.max(1, Math.floor(rows / 10)) : rows;
      for (let after: string | null = null; ;) {
        this.#stop.signal.throwIfAborted();
        const options: PruneOptions = { before, after, limit, dryRun };
        const began = clock.monotonic();
        const { removed, next } = await storage.run((tx) => tx.retention.prune(what, options));
        counts[what] += removed;
        if (!dryRun) {
          metrics.pruned.inc({ what }, removed);
          metrics.pruneSeconds.observe((clock.monotonic() - began) / 1_000);
        }
        if (next === null) break;
        after = next;
        await clock.sleep(pause, this.#stop.signal);
      }
    }
    return counts;
  }
}
