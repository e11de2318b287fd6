import assert from 'node:assert/strict';
import { seconds } from '../../plugin-api/index.ts';
import type { Tx } from '../../src/core/storage/storage.ts';
import { UnitOfWork } from '../../src/store/unit-of-work.ts';

// Each closed store left something behind that every later promise of the process had to look at (Node 20): a process that had
// opened some hundred stores, as the suite does, ran its promises twenty times slower.
it('promises are as fast after a thousand stores that were closed as before', async () => {
  await promises();
  const before = await promises();
  for (let n = 0; n < 1_000; n += 1) {
    const units = new UnitOfWork({
      transactions: {
        within: (turn) => turn({ execute: () => Promise.resolve({ rows: [], affected: 0 }) }),
      },
      makeTx: () => ({}) as Tx,
      timeout: seconds(5),
      patience: null,
    });
    await units.run(() => Promise.resolve());
    await units.close();
  }
  const after = await promises();
  // Each of them cost 20 times and more; a busy machine is no slower than that by chance.
  assert.ok(after < 10 * before, `${after} ms for what took ${before} ms`);
});

/** CPU milliseconds of this process for many promises. */
async function promises(): Promise<number> {
  const began = process.cpuUsage();
  for (let n = 0; n < 200_000; n += 1) await Promise.resolve();
  const { user } = process.cpuUsage(began);
  return Math.max(1, user / 1_000);
}
