import assert from 'node:assert/strict';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { deployment, machineId } from './samples.ts';

describe('deployment store', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
  });
  afterEach(() => temp.close());

  it('gives a deployment back as it was', async () => {
    await storage.run(async ({ deployments }) => {
      await deployments.insert(deployment(1));
      assert.deepEqual(await deployments.find('op-1'), deployment(1));
      assert.deepEqual(await deployments.current(machineId(1)), deployment(1));
      assert.equal(await deployments.find('op-2'), null);
      assert.equal(await deployments.current(machineId(2)), null);
    });
  });

  it('has one current deployment per machine until it ends', async () => {
    const second = deployment(1, { id: 'op-later' });
    await storage.run((tx) => tx.deployments.insert(deployment(1)));
    await rejectsWith(
      storage.run((tx) => tx.deployments.insert(second)),
      'store.conflict',
    );
    await storage.run(async ({ deployments }) => {
      const ended = await deployments.update(
        deployment(1, { state: 'ended', endedAt: 9, evidence: { summary: 's', verified: true } }),
      );
      assert.equal(ended.version, 1);
      await deployments.insert(second);
      assert.deepEqual(await deployments.find('op-1'), ended);
      assert.deepEqual(await deployments.current(machineId(1)), second);
    });
  });

  it('lists those that have not ended', async () => {
    await storage.run(async ({ deployments }) => {
      await deployments.insert(deployment(1, { state: 'installed' }));
      await deployments.insert(deployment(2, { state: 'ended', endedAt: 2 }));
      await deployments.insert(deployment(3));
      assert.deepEqual(
        (await deployments.listCurrent()).map(({ id }) => id),
        ['op-1', 'op-3'],
      );
    });
  });

  it('refuses an update of an old version', async () => {
    await storage.run((tx) => tx.deployments.insert(deployment(1)));
    await storage.run((tx) => tx.deployments.update(deployment(1, { state: 'installed' })));
    await rejectsWith(
      storage.run((tx) => tx.deployments.update(deployment(1))),
      'store.conflict',
    );
    assert.equal((await storage.run((tx) => tx.deployments.find('op-1')))?.state, 'installed');
  });
});
