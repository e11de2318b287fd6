import assert from 'node:assert/strict';
import { Secret } from '../../plugin-api/index.ts';
import type { ApiKey } from '../../src/core/access/api-key.ts';
import type { PrincipalRecord } from '../../src/core/access/principal.ts';
import { defaultPoolRules } from '../../src/core/machine/pool.ts';
import { emptyProfile } from '../../src/core/machine/profile.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { machine, machineId } from './samples.ts';

const anna: PrincipalRecord = {
  name: 'anna',
  role: 'user',
  scope: '*',
  tokenHash: null,
  createdAt: 1,
  revokedAt: null,
  expiresAt: null,
  lastUsedAt: null,
  email: 'anna@example.org',
  passwordHash: 'salt:hash',
};
const key: ApiKey = {
  tokenKey: 'token',
  consumerKey: 'consumer',
  secret: new Secret('the-secret'),
  principal: 'anna',
  name: 'laptop',
  createdAt: 5,
};

describe('stores of what MAAS clients bring', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
    await storage.run((tx) => tx.principals.insert(anna));
  });
  afterEach(() => temp.close());

  it('keep API keys by token and owner, their secrets sealed', async () => {
    await storage.run(async ({ apiKeys }) => {
      await apiKeys.insert(key);
      await apiKeys.insert({ ...key, tokenKey: 'older', createdAt: 4 });
      const found = await apiKeys.find('token');
      assert.equal(found?.secret.reveal(), 'the-secret');
      assert.deepEqual(
        (await apiKeys.ofPrincipal('anna')).map(({ tokenKey }) => tokenKey),
        ['older', 'token'],
      );
      assert.deepEqual(await apiKeys.ofPrincipal('ben'), []);
      assert.deepEqual(
        [await apiKeys.rename('token', 'desk'), await apiKeys.rename('none', 'x')],
        [true, false],
      );
      assert.equal((await apiKeys.find('token'))?.name, 'desk');
      assert.deepEqual([await apiKeys.delete('token'), await apiKeys.delete('token')], [true, false]);
    });
    const orphan = { ...key, principal: 'nobody' };
    await assert.rejects(storage.run((tx) => tx.apiKeys.insert(orphan)));
  });

  it('take a nonce once for each key, until it is forgotten', async () => {
    await storage.run(async ({ apiKeys }) => {
      await apiKeys.insert(key);
      assert.equal(await apiKeys.takeNonce('token', 'n', 10), true);
      assert.equal(await apiKeys.takeNonce('token', 'n', 20), false);
      assert.equal(await apiKeys.takeNonce('other', 'n', 20), true);
      await apiKeys.forgetNonces(11);
      assert.equal(await apiKeys.takeNonce('token', 'n', 30), true);
      assert.equal(await apiKeys.takeNonce('other', 'n', 30), false);
      await apiKeys.delete('token');
      assert.equal(await apiKeys.takeNonce('token', 'n', 40), true);
    });
  });

  it('make a revoked principal anew, and no other', async () => {
    const again = { ...anna, role: 'admin', createdAt: 9, passwordHash: null } as const;
    await storage.run(async ({ principals }) => {
      assert.equal(await principals.reinstate(again), false);
      assert.equal(await principals.reinstate({ ...again, name: 'nobody' }), false);
      await principals.revoke('anna', 8);
      assert.equal(await principals.reinstate(again), true);
      assert.deepEqual(await principals.findByName('anna'), again);
    });
  });

  it('number records by kind, never giving a number again, and guard them against each other', async () => {
    await storage.run(async ({ records }) => {
      const first = await records.insert({ kind: 'tag', name: 'a', owner: null, body: { x: [1] } });
      const second = await records.insert({ kind: 'tag', name: 'b', owner: 'anna', body: {} });
      const other = await records.insert({ kind: 'zone', name: 'a', owner: null, body: {} });
      assert.deepEqual([first.id, second.id, other.id], [1, 2, 1]);
      assert.deepEqual(await records.find('tag', 1), first);
      assert.deepEqual(await records.findByName('tag', 'b'), second);
      assert.deepEqual(await records.list('tag', 'anna'), [second]);
      const changed = await records.update({ ...first, body: { x: [] } });
      assert.deepEqual(await records.find('tag', 1), changed);
      assert.equal(await records.delete('tag', 2), true);
      assert.equal((await records.insert({ kind: 'tag', name: 'b', owner: null, body: {} })).id, 3);
      await rejectsWith(records.update(first), 'store.conflict');
    });
    await rejectsWith(
      storage.run((tx) => tx.records.insert({ kind: 'tag', name: 'a', owner: null, body: {} })),
      'store.conflict',
    );
  });

  it('keep pools by name and number, and profiles by machine', async () => {
    await storage.run(async ({ pools, profiles, machines }) => {
      const gpu = await pools.insert({ name: 'gpu', ...defaultPoolRules, doors: ['maas'] });
      assert.deepEqual(await pools.find('gpu'), gpu);
      assert.deepEqual(await pools.findById(gpu.id), gpu);
      const trusted = await pools.update({ ...gpu, trusted: true });
      assert.deepEqual(await pools.list(), [trusted]);
      await pools.delete('gpu');
      assert.equal(await pools.find('gpu'), null);

      await machines.insert(machine(1));
      assert.equal(await profiles.find(machineId(1)), null);
      const said = { ...emptyProfile(machineId(1)), description: 'loud', tags: ['a'], ownerData: { k: 'v' } };
      const saved = await profiles.save(said);
      assert.deepEqual(await profiles.find(machineId(1)), saved);
      const locked = await profiles.save({ ...saved, locked: true });
      assert.deepEqual(await profiles.ofMachines([machineId(1), machineId(2)]), [locked]);
      await rejectsWith(profiles.save(saved), 'store.conflict');
    });
  });
});
