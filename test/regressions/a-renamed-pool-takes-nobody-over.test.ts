import assert from 'node:assert/strict';
import { askerOf } from '../../src/core/access/principal.ts';
import { Pools } from '../../src/operations/pools.ts';
import { rejectsWith } from '../store/rejects-with.ts';
import { machine } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const root = askerOf({ name: 'root', role: 'admin', scope: '*' }, 'test', '');

// A pool that nobody has described is there as soon as a machine is in it: another one that took its name brought its own rules along,
// and closed the doors of machines that were never in it.
it('a pool is not renamed to one that has machines, described or not', async () => {
  const temp = await tempStorage();
  const { storage } = temp;
  try {
    const pools = new Pools(storage);
    await storage.run((tx) => tx.machines.insert(machine(1, { pool: 'default' })));
    await pools.create('closed', { doors: [] }, root);
    await rejectsWith(pools.update('closed', { name: 'default' }, root), 'pool.exists');
    const listed = await pools.listed();
    assert.deepEqual(
      listed.map(({ name, machines, doors }) => [name, machines, doors.length]),
      [
        ['closed', 0, 0],
        ['default', 1, 2],
      ],
    );
    assert.equal((await pools.update('closed', { name: 'spare' }, root)).name, 'spare');
  } finally {
    await temp.close();
  }
});
