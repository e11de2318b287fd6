import assert from 'node:assert/strict';
import type { PrincipalRecord } from '../../src/core/access/principal.ts';
import type { Image } from '../../src/core/image/image.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { machineId } from './samples.ts';

const image: Image = {
  name: 'debian-12',
  canBond: true,
  firstBoot: 'nocloud',
  rawBytes: 2 ** 33,
  encoding: 'zstd',
  storedBytes: 400_000_000,
  sha256: 'a'.repeat(64),
  aliases: ['https://images.example/debian-12.qcow2'],
  file: 'debian-12.zst',
  createdAt: 1,
  version: 0,
};
const principal: PrincipalRecord = {
  name: 'alice',
  role: 'operator',
  scope: '*',
  tokenHash: 'hash-a',
  createdAt: 1,
  revokedAt: null,
  expiresAt: null,
  lastUsedAt: null,
  email: '',
  passwordHash: null,
};

describe('image, principal and alarm stores', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
  });
  afterEach(() => temp.close());

  it('keep images by name', async () => {
    await storage.run(async ({ images }) => {
      await images.insert(image);
      await images.insert({ ...image, name: 'alma-9', canBond: false, firstBoot: 'none', aliases: [] });
      assert.deepEqual(await images.find('debian-12'), image);
      assert.deepEqual(
        (await images.list()).map(({ name }) => name),
        ['alma-9', 'debian-12'],
      );
      await images.delete('alma-9');
      assert.equal(await images.find('alma-9'), null);
    });
    await rejectsWith(
      storage.run((tx) => tx.images.insert(image)),
      'store.conflict',
    );
  });

  it('keep principals by name and token, and revoke once', async () => {
    await storage.run(async ({ principals }) => {
      await principals.insert(principal);
      await principals.insert({ ...principal, name: 'zone-1', role: 'cloud', tokenHash: null });
      await principals.insert({ ...principal, name: 'zone-2', role: 'cloud', tokenHash: null });
      assert.deepEqual(await principals.findByName('alice'), principal);
      assert.deepEqual(await principals.findByTokenHash('hash-a'), principal);
      assert.equal(await principals.findByTokenHash('hash-b'), null);
      assert.equal((await principals.list()).length, 3);
      assert.deepEqual(
        [
          await principals.revoke('alice', 8),
          await principals.revoke('alice', 9),
          await principals.revoke('bob', 9),
        ],
        [true, false, false],
      );
      assert.equal((await principals.findByTokenHash('hash-a'))?.revokedAt, 8);
    });
    await rejectsWith(
      storage.run((tx) => tx.principals.insert({ ...principal, name: 'eve' })),
      'store.conflict',
    );
  });

  it('list alarms newest first', async () => {
    await storage.run(async ({ alarms }) => {
      for (const [id, at] of [
        ['a', 1],
        ['b', 3],
        ['c', 2],
      ] as const)
        await alarms.insert({ id, at, code: 'x', machineId: id === 'a' ? machineId(1) : null, text: 't' });
      assert.deepEqual(
        (await alarms.list(2)).map(({ id }) => id),
        ['b', 'c'],
      );
      assert.equal((await alarms.list(9))[2]?.machineId, machineId(1));
    });
  });
});
