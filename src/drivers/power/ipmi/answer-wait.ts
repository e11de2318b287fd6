import type { Clock, Duration } from '../../../../plugin-api/index.ts';

/** The answer, or null after `time`. @throws the signal's reason */
export async function answerWithin<T>(
  clock: Clock,
  answer: Promise<T>,
  time: Duration,
  signal: AbortSignal,
): Promise<T | null> {
  signal.throwIfAborted();
  const timer = new AbortController();
  const forward = (): void => timer.abort(signal.reason);
  signal.addEventListener('abort', forward, { once: true });
  try {
    return await Promise.race([answer, clock.sleep(time, timer.signal).then(() => null)]);
  } finally {
    signal.removeEventListener('abort', forward);
    timer.abort(new Error('answered'));
  }
}
