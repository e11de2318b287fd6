import type { Clock, Duration } from '../../../plugin-api/index.ts';

/**
 * Calls `wake` after `time`, unless the returned function is called before: a wait without promise and signal, for code that
 * waits for thousands of things at once.
 */
export function startTimer(clock: Clock, time: Duration, wake: () => void): () => void {
  if (clock.timer) return clock.timer(time, wake);
  const stop = new AbortController();
  clock.sleep(time, stop.signal).then(wake, () => undefined);
  return () => stop.abort(new Error('not needed any more'));
}
