import type { Clock, Duration } from '../../../plugin-api/index.ts';

/** Node's timers take no more, in milliseconds: what is longer would end at once. */
const longestTimer = 2 ** 31 - 1;

/** The real clock. A sleep of more than 24 days ends after 24 days. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  timer(time: Duration, wake: () => void): () => void {
    const timer = setTimeout(wake, Math.min(time, longestTimer));
    return () => clearTimeout(timer);
  }

  sleep(time: Duration, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(reasonOf(signal));
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(reasonOf(signal!));
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(time, longestTimer),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}
