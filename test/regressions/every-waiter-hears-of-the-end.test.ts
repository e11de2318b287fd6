import assert from 'node:assert/strict';
import type { OperationRecord } from '../../src/core/storage/journal-records.ts';
import type { Storage } from '../../src/core/storage/storage.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import type { OperationEvents } from '../../src/operations/operation-events.ts';
import { Runner } from '../../src/operations/journal/runner.ts';
import { StepLists } from '../../src/operations/journal/step-lists.ts';
import type { World } from '../../src/operations/world.ts';
import { operation } from '../store/samples.ts';

// All callers that waited for one operation shared a promise, and the first of them that failed took it away from the others:
// a command whose journal could be read was then never answered.
it('who waits for an operation hears of its end, also when somebody else who waited could not read the journal', async () => {
  const active = operation('op-1', 1);
  const events = new EventBus<OperationEvents>();
  let reads = 0;
  const storage: Pick<Storage, 'run'> = {
    run: <T>() =>
      (reads += 1) === 1 ? Promise.reject(new Error('the disk is full')) : Promise.resolve(active as T),
  };
  const runner = new Runner({ events, storage } as unknown as World, new StepLists());
  const first = runner.ended(active.id);
  const second = runner.ended(active.id);
  await assert.rejects(first, /the disk is full/);
  const ended: OperationRecord = { ...active, state: 'done', endedAt: 1 };
  events.emit('operation', ended);
  assert.equal(await second, ended);
});
