import type { Duration } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';

/** The real clock for simulated devices that take no time: what shorter than a millisecond is slept ends at once, where a timer would take one. */
export class InstantClock extends SystemClock {
  override sleep(time: Duration, signal?: AbortSignal): Promise<void> {
    if (time >= 1 || signal?.aborted) return super.sleep(time, signal);
    return new Promise((resolve) => setImmediate(resolve));
  }
}
