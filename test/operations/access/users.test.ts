import assert from 'node:assert/strict';
import { minutes, Secret } from '../../../plugin-api/index.ts';
import { askerOf } from '../../../src/core/access/principal.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { Access } from '../../../src/operations/access.ts';
import { ApiKeys } from '../../../src/operations/api-keys.ts';
import { Users } from '../../../src/operations/users.ts';
import { rejectsWith } from '../../store/rejects-with.ts';
import { machine, machineId } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

const root = askerOf({ name: 'root', role: 'admin', scope: '*' }, 'test', '');
const password = new Secret('correct horse');

describe('access: users and API keys', () => {
  let temp: TempStorage;
  let clock: ManualClock;
  let users: Users;
  let keys: ApiKeys;

  beforeEach(async () => {
    temp = await tempStorage();
    clock = new ManualClock();
    users = new Users(temp.storage, clock, new Access(temp.storage, clock), { failures: 3 });
    keys = new ApiKeys(temp.storage, clock);
  });
  afterEach(() => temp.close());

  const newUser = (name: string) => users.create({ name, role: 'user', email: '', password }, root);

  it('a user who holds a machine is not removed; one who does not goes with keys, SSH keys and files', async () => {
    await newUser('anna');
    const key = await keys.create('anna', 'laptop', root);
    await temp.storage.run(async (tx) => {
      await tx.machines.insert(machine(1));
      await tx.claims.insert({
        machineId: machineId(1),
        holder: 'user',
        externalId: `maas/anna/${machineId(1)}`,
        owner: 'anna',
        instanceUuid: null,
        since: 0,
        version: 0,
      });
      for (const kind of ['ssh-key', 'file'] as const)
        for (const owner of ['anna', 'ben'])
          await tx.records.insert({ kind, name: `${owner} ${kind}`, owner, body: {} });
    });
    await rejectsWith(users.remove('anna', root), 'access.in-use');
    assert.ok(await keys.holder(key.tokenKey));
    await temp.storage.run((tx) => tx.claims.delete(machineId(1), `maas/anna/${machineId(1)}`));
    await users.remove('anna', root);
    assert.equal(await keys.holder(key.tokenKey), null);
    await temp.storage.run(async (tx) => {
      assert.deepEqual(await tx.apiKeys.ofPrincipal('anna'), []);
      for (const kind of ['ssh-key', 'file'] as const)
        assert.deepEqual(
          (await tx.records.list(kind)).map(({ owner }) => owner),
          ['ben'],
        );
    });
  });

  it('passwords are told apart, and many wrong ones from an address or for a name are throttled', async () => {
    await newUser('anna');
    await newUser('ben');
    assert.equal((await users.login('anna', password, 'here')).name, 'anna');
    for (const wrong of ['', 'correct hors', 'correct horse '])
      await rejectsWith(users.login('anna', new Secret(wrong), 'here'), 'request.unauthenticated');
    await rejectsWith(users.login('ben', password, 'here'), 'access.throttled');
    await rejectsWith(users.login('anna', password, 'there'), 'access.throttled');
    assert.equal((await users.login('ben', password, 'there')).name, 'ben');
    await clock.advance(minutes(2));
    assert.equal((await users.login('anna', password, 'here')).name, 'anna');
    const other = new Secret('another horse');
    await users.setPassword('anna', other, askerOf({ name: 'anna', role: 'user', scope: '*' }, 'test', ''));
    await rejectsWith(users.login('anna', password, 'far'), 'request.unauthenticated');
    assert.equal((await users.login('anna', other, 'far')).name, 'anna');
    await rejectsWith(
      users.setPassword('anna', other, askerOf(await newUser('cy'), 'test', '')),
      'request.forbidden',
    );
  });

  it('keys end with their owner: by revocation, and by expiry', async () => {
    const access = new Access(temp.storage, clock);
    await access.create({ name: 'ci', role: 'operator', scope: '*', lifetime: minutes(10) }, root);
    const key = await keys.create('ci', '', root);
    assert.equal((await keys.holder(key.tokenKey))?.principal.name, 'ci');
    await clock.advance(minutes(11));
    assert.equal(await keys.holder(key.tokenKey), null);
    await rejectsWith(keys.create('ci', '', root), 'request.not-found');
  });

  it('a nonce counts for as long as its timestamp could pass, then it is forgotten', async () => {
    await newUser('anna');
    const { tokenKey } = await keys.create('anna', '', root);
    assert.equal(await keys.takeNonce(tokenKey, 'n'), true);
    await clock.advance(minutes(10));
    assert.equal(await keys.takeNonce(tokenKey, 'n'), false);
    await clock.advance(minutes(2));
    assert.equal(await keys.takeNonce(tokenKey, 'other'), true);
    assert.equal(await keys.takeNonce(tokenKey, 'n'), true);
  });
});
