import assert from 'node:assert/strict';
import { seconds } from '../../plugin-api/index.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { Execution } from '../../src/operations/journal/execution.ts';
import { done } from '../../src/operations/journal/step.ts';
import { operation } from '../store/samples.ts';
import { executionWorld, oneStep } from '../support/execution-world.ts';
import { tempStorage } from '../support/temp-storage.ts';

// A database that did not answer just while a step was prepared was taken for a refusal of that step: the operation failed and was
// undone, where one that met the same in any other statement went on once the database was back.
it('an operation whose step could not be prepared for want of the database goes on later', async () => {
  const temp = await tempStorage();
  try {
    const world = executionWorld(temp.storage);
    let away = true;
    const list = oneStep(
      {
        prepare: () =>
          away
            ? Promise.reject(new ServiceError({ code: 'store.unavailable', what: 'no server' }))
            : Promise.resolve(),
        run: () => Promise.resolve(done('done')),
      },
      { onFailure: 'undo' },
    );
    const record = operation('op-1', 1, { deadlineAt: Date.now() + seconds(60), timeLeft: seconds(60) });
    await temp.storage.run((tx) => tx.journal.insert(record));
    await assert.rejects(new Execution(world, list, record).run(), { code: 'store.unavailable' });
    const between = await temp.storage.run((tx) => tx.journal.find('op-1'));
    assert.deepEqual([between?.state, between?.error], ['running', null]);
    away = false;
    await new Execution(world, list, between!).run();
    const after = await temp.storage.run((tx) => tx.journal.find('op-1'));
    assert.deepEqual([after?.state, after?.error], ['done', null]);
  } finally {
    await temp.close();
  }
});
