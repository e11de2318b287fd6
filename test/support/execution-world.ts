import { loadConfig } from '../../src/config/load-config.ts';
import type { Storage } from '../../src/core/storage/storage.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { Step, StepList } from '../../src/operations/journal/step.ts';
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

/** An operation of one step, `only`, that has nothing to undo and whose ends change nothing, unless said otherwise. */
export function oneStep(step: Pick<Step, 'run'> & Partial<Step>, list: Partial<StepList> = {}): StepList {
  const nothing = { commit: () => Promise.resolve() };
  return {
    ...{ name: 'test', version: 1, kind: 'start', cancellable: false, onFailure: 'stand' },
    ...{ failed: nothing, stuck: nothing },
    steps: [{ name: 'only', kind: 'checkable', undo: { none: 'a test' }, ...step }],
    ...list,
  };
}
