import assert from 'node:assert/strict';
import type { Claim } from '../../src/core/claim/claim.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { claim, machine, machineId } from './samples.ts';

describe('claim store', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
    await storage.run(async (tx) => {
      for (let n = 1; n <= 5; n += 1) await tx.machines.insert(machine(n));
    });
  });
  afterEach(() => temp.close());

  const insert = (one: Claim): Promise<void> => storage.run((tx) => tx.claims.insert(one));

  it('gives a claim back by machine and by external id', async () => {
    await insert(claim(2));
    await insert(claim(1));
    await storage.run(async ({ claims }) => {
      assert.deepEqual(await claims.find(machineId(1)), claim(1));
      assert.deepEqual(await claims.findByExternalId('acme/i-2-2-VM'), claim(2));
      assert.deepEqual(await claims.list(), [claim(1), claim(2)]);
      assert.deepEqual(await claims.ofHolders(['user', 'operator']), []);
      assert.equal((await claims.ofHolders(['operator', 'user', 'instance'])).length, 2);
      assert.equal(await claims.find(machineId(3)), null);
      assert.equal(await claims.findByExternalId('acme/i-2-3-VM'), null);
    });
  });

  it('allows one claim per machine and one machine per external id', async () => {
    await insert(claim(1));
    await rejectsWith(insert(claim(1, 'acme/another')), 'store.conflict');
    await rejectsWith(insert(claim(2, claim(1).externalId)), 'store.conflict');
    await rejectsWith(insert(claim(99)), 'store.conflict');
  });

  it('gives a machine to exactly one of many who want it, and an instance exactly one machine', async () => {
    const forOneMachine = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => insert(claim(1, `acme/vm-${i}`))),
    );
    assert.equal(forOneMachine.filter(({ status }) => status === 'fulfilled').length, 1);
    const forOneInstance = await Promise.allSettled(
      [2, 3, 4, 5].map(async (n) => {
        // Each looks first, as an operation does.
        if (await storage.run((tx) => tx.claims.findByExternalId('acme/wanted'))) throw new Error('taken');
        await insert(claim(n, 'acme/wanted'));
      }),
    );
    assert.equal(forOneInstance.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await storage.run((tx) => tx.claims.list())).length, 2);
  });

  it("learns its instance's UUID once, and only for the claim that is meant", async () => {
    const [one, other] = ['11111111-2222-4333-8444-555555555555', '99999999-2222-4333-8444-555555555555'];
    await insert(claim(1));
    await insert({ ...claim(2), instanceUuid: other });
    const learn = (n: number, externalId: string, uuid: string): Promise<void> =>
      storage.run((tx) => tx.claims.learnInstanceUuid(machineId(n), externalId, uuid));
    await learn(1, 'acme/another', other);
    assert.equal((await storage.run((tx) => tx.claims.find(machineId(1))))?.instanceUuid, null);
    await learn(1, claim(1).externalId, one);
    await learn(1, claim(1).externalId, other);
    await learn(2, claim(2).externalId, one);
    assert.deepEqual(
      (await storage.run((tx) => tx.claims.list())).map(({ instanceUuid }) => instanceUuid),
      [one, other],
    );
  });

  it('drops a claim once, again without failure, and never that of another', async () => {
    await insert(claim(1));
    const drop = (externalId: string): Promise<void> =>
      storage.run((tx) => tx.claims.delete(machineId(1), externalId));
    await rejectsWith(drop('acme/another'), 'store.conflict');
    await drop(claim(1).externalId);
    await drop(claim(1).externalId);
    assert.equal(await storage.run((tx) => tx.claims.find(machineId(1))), null);
    await insert(claim(1, 'acme/another'));
  });
});
