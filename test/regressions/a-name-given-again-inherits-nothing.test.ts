import assert from 'node:assert/strict';
import { askerOf } from '../../src/core/access/principal.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { Access } from '../../src/operations/access.ts';
import { ApiKeys } from '../../src/operations/api-keys.ts';
import { Users } from '../../src/operations/users.ts';
import { rejectsWith } from '../store/rejects-with.ts';
import { machine } from '../store/samples.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

const root = askerOf({ name: 'root', role: 'admin', scope: '*' }, 'test', '');

// `csbm principal revoke` left the API keys of whoever it revoked: worth nothing, until somebody new, an administrator even, got the name.
describe('a name that is given again after a revocation', () => {
  let temp: TempStorage;
  const clock = new ManualClock();
  beforeEach(async () => {
    temp = await tempStorage();
  });
  afterEach(() => temp.close());

  it('comes without the keys, SSH keys and files of who had it', async () => {
    const { storage } = temp;
    const access = new Access(storage, clock);
    const users = new Users(storage, clock, access);
    const keys = new ApiKeys(storage, clock);
    await users.create({ name: 'alice', role: 'user', email: '', password: null }, root);
    const { tokenKey } = await keys.create('alice', 'laptop', root);
    await storage.run(async (tx) => {
      for (const kind of ['ssh-key', 'file'] as const)
        await tx.records.insert({ kind, name: `alice/${kind}`, owner: 'alice', body: {} });
    });
    await access.revoke('alice', root);
    assert.equal(await keys.holder(tokenKey), null);

    await users.create({ name: 'alice', role: 'admin', email: '', password: null }, root);
    assert.equal(await keys.holder(tokenKey), null, 'the former key opens the door as an administrator');
    const left = await storage.run(async (tx) => [
      ...(await tx.records.list('ssh-key', 'alice')),
      ...(await tx.records.list('file', 'alice')),
    ]);
    assert.deepEqual(left, []);
  });

  it('is refused while machines are held under it', async () => {
    const { storage } = temp;
    const access = new Access(storage, clock);
    const users = new Users(storage, clock, access);
    await users.create({ name: 'bob', role: 'user', email: '', password: null }, root);
    const held = machine(1);
    await storage.run(async (tx) => {
      await tx.machines.insert(held);
      await tx.claims.insert({
        machineId: held.id,
        holder: 'user',
        externalId: 'user:bob/1',
        owner: 'bob',
        instanceUuid: null,
        since: 1,
        version: 1,
      });
    });
    await access.revoke('bob', root);
    await rejectsWith(
      users.create({ name: 'bob', role: 'user', email: '', password: null }, root),
      'access.in-use',
    );
  });
});

// The database's own words about its index came up to the command line.
it('a principal whose name is taken, or was, is refused by name', async () => {
  const temp = await tempStorage();
  try {
    const access = new Access(temp.storage, new ManualClock());
    const wanted = { name: 'carol', role: 'viewer', scope: '*', lifetime: null } as const;
    await access.create(wanted, root);
    const { message } = await rejectsWith(access.create(wanted, root), 'access.exists');
    assert.match(message, /there is a principal "carol" already/);
    await access.revoke('carol', root);
    await rejectsWith(access.create(wanted, root), 'access.exists');
  } finally {
    await temp.close();
  }
});
