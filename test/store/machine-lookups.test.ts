import assert from 'node:assert/strict';
import type { Tx } from '../../src/core/storage/storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { deployment, mac, machine, machineId } from './samples.ts';

describe('lookups of many machines', () => {
  let database: TempStorage;
  const run = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => database.storage.run(work);

  before(async () => {
    database = await tempStorage();
    await run(async (tx) => {
      for (const n of [1, 2, 3, 4, 5])
        await tx.machines.insert(
          machine(n, {
            pool: n > 3 ? 'gpu' : 'default',
            state: n === 2 ? 'deployed' : 'ready',
            architecture: n === 5 ? 'aarch64' : 'x86_64',
          }),
        );
      await tx.deployments.insert(deployment(2));
    });
  });
  after(() => database.close());

  const numbers = (ids: readonly string[]): readonly string[] => [...ids].sort();

  it('pages hold what fits the filter, and go on after a name', async () => {
    const page = (after: string | null, limit: number, filter: Parameters<Tx['machines']['page']>[2]) =>
      run(async (tx) => (await tx.machines.page(after, limit, filter)).map(({ hostname }) => hostname));
    assert.deepEqual(await page(null, 9, { pools: ['gpu'] }), ['node-4', 'node-5']);
    assert.deepEqual(await page('node-1', 9, { pools: ['default'], states: ['ready'] }), ['node-3']);
    assert.deepEqual(await page(null, 2, { states: ['ready', 'deployed'] }), ['node-1', 'node-2']);
    assert.deepEqual(await page(null, 9, { architectures: ['aarch64'] }), ['node-5']);
    assert.deepEqual(await page(null, 9, { pools: [] }), []);
    assert.equal((await page(null, 9, {})).length, 5);
  });

  it('finds ids by hostnames and MACs, and nothing for what nobody has', async () => {
    const { names, macs, none } = await run(async (tx) => ({
      names: await tx.machines.idsOfHostnames(['node-1', 'node-3', 'nobody']),
      macs: await tx.machines.idsOfMacs([mac(2, 0), mac(2, 1), mac(4, 1), mac(99)]),
      none: [...(await tx.machines.idsOfHostnames([])), ...(await tx.machines.idsOfMacs([]))],
    }));
    assert.deepEqual(numbers(names), [machineId(1), machineId(3)]);
    assert.deepEqual(numbers(macs), [machineId(2), machineId(4)]);
    assert.deepEqual(none, []);
  });

  it('shows deployments without what the tenant gave them', async () => {
    const [shown, ...others] = await run((tx) =>
      tx.deployments.currentOfMachines([1, 2, 3].map((n) => machineId(n))),
    );
    assert.equal(others.length, 0);
    const { firstBoot, ...rest } = deployment(2);
    assert.ok(firstBoot.userData);
    assert.deepEqual(shown, rest);
  });

  it('gives records of several kinds at once, in order of number', async () => {
    const found = await run(async (tx) => {
      for (const [kind, name] of [
        ['zone', 'a'],
        ['domain', 'b'],
        ['tag', 'c'],
        ['zone', 'd'],
      ] as const)
        await tx.records.insert({ kind, name, owner: null, body: {} });
      return tx.records.ofKinds(['zone', 'domain', 'space']);
    });
    assert.deepEqual(numbers(found.map(({ name }) => name!)), ['a', 'b', 'd']);
    const zones = found.filter(({ kind }) => kind === 'zone').map(({ name }) => name);
    assert.deepEqual(zones, ['a', 'd']);
  });
});
