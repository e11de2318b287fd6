import assert from 'node:assert/strict';
import type { Storage, Tx } from '../../src/core/storage/storage.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { Member } from '../operations/instances/member.ts';
import { machine } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const { id } = machine(1);

// The first thing that a stop does is to tell the others. Where the database did not answer the stop ended there: operations were not
// brought to where others can go on, and no session with a BMC or a switch was closed.
it('an instance that is stopped while its database is away gives up its work all the same', async () => {
  const temp = await tempStorage();
  try {
    await temp.storage.run((tx) => tx.machines.insert(machine(1)));
    let away = false;
    const storage = {
      ...temp.storage,
      run: <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
        away
          ? Promise.reject(new ServiceError({ code: 'store.unavailable', what: 'no server' }))
          : temp.storage.run(work),
    } as Storage;
    const member = await Member.join('in-a', storage);
    const { instances } = member;
    assert.equal(instances.machines.holds(id), true);
    away = true;
    await instances.drain();
    await instances.machines.releaseAll();
    assert.deepEqual([instances.machines.holds(id), member.left], [false, [id]]);
    // It takes nothing that it finds while it ends.
    away = false;
    await temp.storage.run((tx) => tx.leases.release([`machine:${id}`], 'in-a'));
    await Member.beat(member);
    await instances.machines.takeFree();
    assert.equal(instances.machines.holds(id), false);
    await instances.leave();
    assert.equal(await member.state(), 'gone');
  } finally {
    await temp.close();
  }
});
