import { loadConfig } from '../../src/config/load-config.ts';
import type { Storage } from '../../src/core/storage/storage.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { World } from '../../src/operations/world.ts';

/** As much of the world as carries out an operation whose steps touch nothing but the storage. */
export function executionWorld(storage: Storage): World {
  return {
    storage,
    clock: new SystemClock(),
    timings: loadConfig({ env: {} }).config.timings,
    log: createLog({ level: 'silent', destination: { write: () => undefined } }),
    metrics: new Metrics(false),
    events: new EventBus(),
    instances: { current: () => Promise.resolve() },
    timeline: { note: () => undefined, take: () => null },
  } as unknown as World;
}
