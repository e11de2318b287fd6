import type { Clock, Duration } from '../../../plugin-api/index.ts';
import { startTimer } from '../clock/start-timer.ts';

/**
 * Runs `task` with a signal that is aborted after `time` or together with `outer`; the rejection is what `onTimeout` made,
 * or the outer signal's reason. The task must heed its signal: its result is waited for even when it does not.
 */
export async function withDeadline<T>(
  clock: Clock,
  time: Duration,
  onTimeout: () => Error,
  task: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const forward = (): void => controller.abort(outer!.reason);
  if (outer?.aborted) forward();
  else outer?.addEventListener('abort', forward, { once: true });
  const stopTimer = startTimer(clock, time, () => controller.abort(onTimeout()));
  try {
    return await task(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    throw error;
  } finally {
    stopTimer();
    outer?.removeEventListener('abort', forward);
  }
}
