import assert from 'node:assert/strict';
import type { InstanceStore, Storage, Tx } from '../../src/core/storage/storage.ts';
import { currentProcess } from '../../src/operations/instances/process-identity.ts';
import { Member } from '../operations/instances/member.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

/** Beyond the highest number that Linux gives a process. */
const noProcess = 2 ** 22 + 1;

// Two instances saw at once that a third had died: the one that had just begun ended, because the other had declared it gone first.
describe('an instance that joins while another declares a dead one gone', () => {
  let temp: TempStorage;
  before(async () => {
    temp = await tempStorage();
  });
  after(() => temp.close());

  it('leaves that to the other, and comes in', async () => {
    const [boot, space, , started] = currentProcess().split(' ');
    const dead = { id: 'in-dead', name: 'dead', version: '1', state: 'alive', startedAt: 1 } as const;
    const process = `${boot} ${space} ${noProcess} ${started}`;
    await temp.storage.run((tx) =>
      tx.instances.insert({ ...dead, process, adminUrl: null, endedAt: null, reason: null }),
    );
    const before = await temp.storage.run((tx) => tx.instances.find(dead.id));
    const living = await temp.storage.run((tx) => tx.instances.living());
    // Not so long ago that it is forgotten.
    assert.equal(await temp.storage.run((tx) => tx.instances.end(dead.id, null, 2 ** 45, 'silent')), true);

    // It has read what was there before, and writes after.
    let stale = true;
    const storage = {
      ...temp.storage,
      run: <T>(work: (tx: Tx) => Promise<T>) =>
        temp.storage.run((tx) => {
          const seen: Pick<InstanceStore, 'find' | 'living'> = {
            find: async (id) => (id === dead.id ? before : tx.instances.find(id)),
            living: async () => living,
          };
          const instances = new Proxy(tx.instances, {
            get: (store, name) => {
              const value = (name in seen ? seen : store)[name as keyof typeof seen];
              return typeof value === 'function' ? value.bind(store) : value;
            },
          });
          const read = stale ? { ...tx, instances } : tx;
          stale = false;
          return work(read);
        }),
    } as Storage;
    const member = new Member('in-new', storage);
    await member.instances.join();
    assert.equal(await member.state(), 'alive');
    const row = await temp.storage.run((tx) => tx.instances.find(dead.id));
    assert.equal(row?.reason, 'silent');
    await member.instances.leave();
  });
});
