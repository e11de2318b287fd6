import assert from 'node:assert/strict';
import type { OperationRecord } from '../../src/core/storage/journal-records.ts';
import type { JournalStore } from '../../src/core/storage/storage.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { machineId, operation, step } from './samples.ts';

const cancel = { requester: { principal: 'a', door: 'admin', reason: 'r' }, at: 5 };

describe('journal store', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
  });
  afterEach(() => temp.close());

  const journal = <T>(work: (store: JournalStore) => Promise<T>): Promise<T> =>
    storage.run((tx) => work(tx.journal));
  const insert = (one: OperationRecord): Promise<void> => journal((store) => store.insert(one));
  const find = (id: string): Promise<OperationRecord | null> => journal((store) => store.find(id));

  it('gives an operation back as it was', async () => {
    const error = { code: 'c', retry: 'later', what: 'w', where: 'x', said: 's', remedy: 'r' } as const;
    const full = operation('op-1', 1, {
      state: 'failed',
      endedAt: 9,
      cancel,
      error,
      undoError: error,
      result: { power: 'on' },
      leaseOwner: 'me',
      fence: 3,
    });
    await insert(full);
    await insert(operation('op-2', 1));
    assert.deepEqual(await find('op-1'), full);
    assert.deepEqual(await find('op-2'), operation('op-2', 1));
    assert.equal(await find('op-3'), null);
  });

  it('allows one active operation per machine, and the next when it has ended', async () => {
    await insert(operation('op-1', 1));
    await insert(operation('op-2', 2));
    await rejectsWith(insert(operation('op-3', 1)), 'store.conflict');
    await journal((store) => store.update(operation('op-1', 1, { state: 'undoing' })));
    await rejectsWith(insert(operation('op-3', 1)), 'store.conflict');
    assert.equal((await journal((store) => store.active(machineId(1))))?.id, 'op-1');

    await journal((store) => store.update(operation('op-1', 1, { state: 'cancelled', endedAt: 9 })));
    assert.equal(await journal((store) => store.active(machineId(1))), null);
    await insert(operation('op-3', 1));
    const active = await journal((store) => store.listActive());
    assert.deepEqual(
      active.map(({ id }) => id),
      ['op-2', 'op-3'],
    );
  });

  it('begins exactly one of many operations wanted on a machine at once', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => insert(operation(`op-${i}`, 1))),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('lists newest first, filtered and limited', async () => {
    for (let i = 1; i <= 4; i += 1)
      await insert(
        operation(`op-${i}`, i % 2, {
          kind: i === 3 ? 'destroy' : 'start',
          state: i < 3 ? 'done' : 'running',
          createdAt: i < 3 ? 1 : i,
        }),
      );
    const ids = async (...[filter]: Parameters<JournalStore['list']>): Promise<string[]> =>
      (await journal((store) => store.list(filter))).map(({ id }) => id);
    assert.deepEqual(await ids({}), ['op-4', 'op-3', 'op-2', 'op-1']);
    assert.deepEqual(await ids({ limit: 2 }), ['op-4', 'op-3']);
    assert.deepEqual(await ids({ machineId: machineId(1) }), ['op-3', 'op-1']);
    assert.deepEqual(await ids({ kind: 'start', states: ['done', 'failed'] }), ['op-2', 'op-1']);
    assert.deepEqual(await ids({ states: [] }), []);
  });

  it('lets only the holder of the fence write', async () => {
    await insert(operation('op-1', 1));
    const taken = await journal((store) => store.takeLease('op-1', 'a', 0));
    assert.deepEqual(taken, operation('op-1', 1, { leaseOwner: 'a', fence: 1 }));
    assert.equal(await journal((store) => store.takeLease('op-1', 'b', 0)), null);

    const second = await journal((store) => store.takeLease('op-1', 'b', 1));
    assert.deepEqual([second?.leaseOwner, second?.fence], ['b', 2]);
    await rejectsWith(
      journal((store) => store.update({ ...taken, context: { stale: true } })),
      'operation.lease-lost',
    );
    assert.deepEqual(await find('op-1'), second);
  });

  it('undoes the steps of a holder that lost its lease, together with its update', async () => {
    await insert(operation('op-1', 1, { fence: 2 }));
    await rejectsWith(
      journal(async (store) => {
        await store.putStep(step('op-1', 0, { state: 'done' }));
        await store.update(operation('op-1', 1, { fence: 1 }));
      }),
      'operation.lease-lost',
    );
    assert.deepEqual(await journal((store) => store.steps('op-1')), []);
  });

  it('gives the lease to exactly one of many', async () => {
    await insert(operation('op-1', 1));
    const taken = await Promise.all(
      Array.from({ length: 10 }, (_, i) => journal((store) => store.takeLease('op-1', `w${i}`, 0))),
    );
    assert.equal(taken.filter((record) => record !== null).length, 1);
  });

  it('gives no lease of an operation that has ended', async () => {
    await insert(operation('op-1', 1, { state: 'done', endedAt: 3 }));
    assert.equal(await journal((store) => store.takeLease('op-1', 'a', 0)), null);
  });

  it('does not let an update touch the lease or a cancel request that came meanwhile', async () => {
    const held = operation('op-1', 1, { leaseOwner: 'a', fence: 1 });
    await insert(held);
    assert.equal(await journal((store) => store.requestCancel('op-1', cancel)), true);
    await journal((store) => store.update({ ...held, leaseOwner: 'x', context: { step: 2 } }));
    const expected = { ...held, context: { step: 2 }, cancel };
    assert.deepEqual(await find('op-1'), expected);
  });

  it('tells who is to carry out which active operations, and which have ended', async () => {
    await insert(operation('op-1', 1, { leaseOwner: 'a', fence: 1 }));
    await insert(operation('op-2', 2, { leaseOwner: 'b', fence: 1 }));
    await insert(operation('op-3', 3, { leaseOwner: 'a', state: 'done', endedAt: 3 }));
    await journal((store) => store.requestCancel('op-1', cancel));
    assert.deepEqual(await journal((store) => store.heldBy('a')), [
      { id: 'op-1', machineId: operation('op-1', 1).machineId, fence: 1, cancel },
    ]);
    assert.deepEqual(await journal((store) => store.ended(['op-1', 'op-3', 'op-9'])), ['op-3']);
  });

  it('takes one cancel request, of an active operation', async () => {
    await insert(operation('op-1', 1));
    await insert(operation('op-2', 2, { state: 'done', endedAt: 1 }));
    const ask = (id: string): Promise<boolean> => journal((store) => store.requestCancel(id, cancel));
    assert.deepEqual([await ask('op-1'), await ask('op-1'), await ask('op-2')], [true, false, false]);
    assert.equal(await ask('op-3'), false);
    assert.deepEqual((await find('op-1'))?.cancel, cancel);
  });

  it('inserts and rewrites steps by their number', async () => {
    await insert(operation('op-1', 1));
    await insert(operation('op-2', 2));
    const done = step('op-1', 0, {
      state: 'done',
      endedAt: 12,
      progress: { activity: 'waiting', percent: 12.5 },
      evidence: { summary: 'off', verified: true, data: { lines: ['Power is off'] } },
    });
    await journal(async (store) => {
      await store.putStep(step('op-1', 1));
      await store.putStep(step('op-1', 0));
      await store.putStep(step('op-2', 0));
      await store.putStep(done);
    });
    assert.deepEqual(await journal((store) => store.steps('op-1')), [done, step('op-1', 1)]);
    assert.deepEqual(await journal((store) => store.steps('op-2')), [step('op-2', 0)]);
    await rejectsWith(
      journal((store) => store.putStep(step('op-none', 0))),
      'store.conflict',
    );
  });
});
