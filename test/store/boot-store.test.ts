import assert from 'node:assert/strict';
import type { BootRecord, BootState } from '../../src/core/storage/boot-record.ts';
import type { BootStore } from '../../src/core/storage/storage.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { boot, mac } from './samples.ts';

describe('boot store', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
  });
  afterEach(() => temp.close());

  const boots = <T>(work: (store: BootStore) => Promise<T>): Promise<T> =>
    storage.run((tx) => work(tx.boots));
  const find = (id: string): Promise<BootRecord | null> => boots((store) => store.find(id));
  const openBy = async (nic: number): Promise<string | undefined> =>
    (await boots((store) => store.findOpenByMac(mac(1, nic))))?.order.id;

  it('gives a conversation back as it was, by id and by token', async () => {
    const full = boot('op-1', 1, {
      state: 'running',
      tokenHash: 'hash',
      armedAt: 1,
      asker: '10.0.0.9 52:54:00:00:01:00',
      activity: 'writing',
      percent: 37.5,
      lastSeen: 4,
      evidence: { summary: 's', verified: false },
      inventory: {
        cpus: 4,
        memoryBytes: 1,
        architecture: 'x86_64',
        firmware: 'legacy',
        product: 'p',
        serial: 's',
        nics: [],
        disks: [],
      },
      error: { code: 'c', said: 's' },
    });
    await boots((store) => store.insert(full));
    await boots((store) => store.insert(boot('op-2', 2)));
    assert.deepEqual(await find('op-1'), full);
    assert.deepEqual(await find('op-2'), boot('op-2', 2));
    assert.deepEqual(await boots((store) => store.findByTokenHash('hash')), full);
    assert.equal(await boots((store) => store.findByTokenHash('other')), null);
    assert.equal(await find('op-3'), null);
  });

  it('is found by each MAC of its order while it is open, and not when it is over', async () => {
    for (const state of ['placed', 'armed', 'asked', 'running', 'contested'] satisfies BootState[]) {
      await boots((store) => store.insert(boot(`op-${state}`, 1, { state })));
      assert.deepEqual(
        [await openBy(0), await openBy(1), await openBy(7)],
        [`op-${state}`, `op-${state}`, undefined],
      );
      const over = await boots((store) => store.update(boot(`op-${state}`, 1, { state: 'done' })));
      assert.equal(await openBy(0), undefined);
      await boots((store) => store.update({ ...over, state: 'failed' }));
      assert.equal(await openBy(0), undefined);
    }
  });

  it('can be opened again', async () => {
    await boots((store) => store.insert(boot('op-1', 1, { state: 'withdrawn' })));
    assert.equal(await openBy(0), undefined);
    const read = (await find('op-1'))!;
    await boots((store) => store.update({ ...read, state: 'placed' }));
    assert.equal(await openBy(1), 'op-1');
  });

  it('has the newer conversation count when two claim a MAC', async () => {
    await boots((store) => store.insert(boot('op-000a', 1)));
    await boots((store) => store.insert(boot('op-000b', 1)));
    assert.equal(await openBy(0), 'op-000b');
  });

  it('updates by version, with the same order and with another', async () => {
    await boots((store) => store.insert(boot('op-1', 1)));
    const read = (await find('op-1'))!;
    const armed = await boots((store) => store.update({ ...read, state: 'armed', armedAt: 3 }));
    assert.deepEqual(armed, { ...read, state: 'armed', armedAt: 3, version: 1 });
    assert.deepEqual(await find('op-1'), armed);
    assert.equal(await openBy(0), 'op-1');
    await rejectsWith(
      boots((store) => store.update({ ...read, state: 'failed' })),
      'store.conflict',
    );

    const order = { ...read.order, work: { other: true }, firstBootFiles: {}, macs: [mac(1, 7)] };
    const replaced = await boots((store) => store.update({ ...armed, order }));
    assert.deepEqual(await find('op-1'), replaced);
    assert.deepEqual([await openBy(0), await openBy(7)], [undefined, 'op-1']);
  });
});
