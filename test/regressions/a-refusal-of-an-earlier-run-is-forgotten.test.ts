import assert from 'node:assert/strict';
import { CodedError, seconds } from '../../plugin-api/index.ts';
import type { Storage } from '../../src/core/storage/storage.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { Execution } from '../../src/operations/journal/execution.ts';
import { done } from '../../src/operations/journal/step.ts';
import { operation } from '../store/samples.ts';
import { executionWorld, oneStep } from '../support/execution-world.ts';
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
    const world = executionWorld(storage);
    let prepared = 0;
    let ran = 0;
    const list = oneStep({
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
    });
    const record = operation('op-1', 1, { deadlineAt: Date.now() + seconds(60) });
    await temp.storage.run((tx) => tx.journal.insert(record));
    await new Execution(world, list, record).run();
    const after = await temp.storage.run((tx) => tx.journal.find('op-1'));
    assert.deepEqual([prepared, ran, after?.state, after?.error], [2, 1, 'done', null]);
  } finally {
    await temp.close();
  }
});
