import assert from 'node:assert/strict';
import { CodedError, seconds } from '../../plugin-api/index.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { Storage } from '../../src/core/storage/storage.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import { Execution } from '../../src/operations/journal/execution.ts';
import { done, type StepList } from '../../src/operations/journal/step.ts';
import type { World } from '../../src/operations/world.ts';
import { operation } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

it('a step whose intent met a conflict in the database, and was written in the next run of the unit, is carried out', async () => {
  const temp = await tempStorage();
  try {
    // As units of work on MariaDB do it, where others get in between.
    const storage: Storage = {
      run: async (work) => {
        for (;;) {
          try {
            return await temp.storage.run(work);
          } catch (error) {
            if (!(error instanceof CodedError) || error.code !== 'store.conflict') throw error;
          }
        }
      },
      close: () => Promise.resolve(),
    };
    const world = {
      storage,
      clock: new SystemClock(),
      timings: loadConfig({ env: {} }).config.timings,
      log: createLog({ level: 'silent', destination: { write: () => undefined } }),
      metrics: new Metrics(false),
      events: new EventBus(),
      instances: { current: () => Promise.resolve() },
      timeline: { note: () => undefined, take: () => null },
    } as unknown as World;
    let prepared = 0;
    let ran = 0;
    const list: StepList = {
      name: 'test',
      version: 1,
      kind: 'start',
      cancellable: false,
      onFailure: 'stand',
      failed: { commit: () => Promise.resolve() },
      stuck: { commit: () => Promise.resolve() },
      steps: [
        {
          name: 'only',
          kind: 'checkable',
          prepare: () => {
            prepared += 1;
            return prepared === 1
              ? Promise.reject(new ServiceError({ code: 'store.conflict', what: 'somebody was faster' }))
              : Promise.resolve();
          },
          run: () => {
            ran += 1;
            return Promise.resolve(done('done'));
          },
          undo: { none: 'a test' },
        },
      ],
    };
    const record = operation('op-1', 1, { deadlineAt: Date.now() + seconds(60) });
    await temp.storage.run((tx) => tx.journal.insert(record));
    await new Execution(world, list, record).run();
    const after = await temp.storage.run((tx) => tx.journal.find('op-1'));
    assert.deepEqual([prepared, ran, after?.state, after?.error], [2, 1, 'done', null]);
  } finally {
    await temp.close();
  }
});
