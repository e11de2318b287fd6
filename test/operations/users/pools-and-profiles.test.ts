import assert from 'node:assert/strict';
import { inventoriedInterfaces } from '../../../src/core/network/interface.ts';
import { by, UserWorld } from './user-world.ts';

const admin = by('root', 'admin');
const alice = by('alice');

describe('pools', () => {
  let world: UserWorld;
  beforeEach(async () => {
    world = await UserWorld.open();
  });
  afterEach(() => world.close());

  it('one that nobody described is open and not trusted', async () => {
    await world.add(1, { pool: 'gpu' });
    assert.deepEqual(await world.temp.storage.run((tx) => world.pools.rules(tx, 'gpu')), {
      description: '',
      doors: ['cloudstack', 'maas'],
      trusted: false,
    });
    assert.deepEqual(
      (await world.pools.listed()).map(({ id, name, machines }) => [id, name, machines]),
      [[null, 'gpu', 1]],
    );
  });

  it('keep what is not changed; a new name takes the machines along', async () => {
    const { id } = await world.add(1, { pool: 'gpu' });
    const first = await world.pools.update('gpu', { doors: ['maas', 'maas'], trusted: true }, admin);
    const renamed = await world.pools.update('gpu', { name: 'fast' }, admin);
    assert.deepEqual([renamed.id, renamed.doors, renamed.trusted], [first.id, ['maas'], true]);
    assert.equal((await world.temp.storage.run((tx) => tx.machines.find(id)))?.pool, 'fast');
    assert.equal(await world.pools.find('gpu'), null);
  });

  it('are refused by name: taken, unknown, misspelt, in use', async () => {
    await world.pools.create('a', {}, admin);
    await world.add(1, { pool: 'b' });
    await assert.rejects(world.pools.create('a', {}, admin), { code: 'pool.exists' });
    await assert.rejects(world.pools.update('c', { trusted: true }, admin), { code: 'request.not-found' });
    for (const name of ['', ' x', 'a/b', 'ü', 'x'.repeat(200)])
      await assert.rejects(async () => world.pools.create(name, {}, admin), { code: 'request.invalid' });
    await world.pools.update('b', {}, admin);
    await assert.rejects(world.pools.update('b', { name: 'a' }, admin), { code: 'pool.exists' });
    await assert.rejects(world.pools.delete('b', admin), { code: 'pool.in-use' });
    await world.pools.delete('a', admin);
    await assert.rejects(world.pools.delete('a', admin), { code: 'request.not-found' });
  });

  it('are described by administrators whose scope is everything', async () => {
    for (const [who, code] of [
      [alice, 'request.forbidden'],
      [by('op', 'operator', 'pool:a'), 'access.scope'],
    ] as const) {
      await assert.rejects(async () => world.pools.create('a', {}, who), { code });
      await assert.rejects(async () => world.pools.update('a', {}, who), { code });
      await assert.rejects(async () => world.pools.delete('a', who), { code });
    }
  });
});

describe('profiles', () => {
  let world: UserWorld;
  beforeEach(async () => {
    world = await UserWorld.open();
  });
  afterEach(() => world.close());

  it('are empty until something is said, and count their changes', async () => {
    const machine = await world.add(1);
    const read = () => world.temp.storage.run((tx) => world.profiles.of(tx, machine));
    assert.deepEqual([(await read()).version, (await read()).zone], [0, 'default']);
    await world.profiles.change(machine.id, admin, (profile) => ({ ...profile, tags: ['a'] }));
    const second = await world.profiles.change(machine.id, admin, (profile) => ({
      ...profile,
      tags: [...profile.tags, 'b'],
    }));
    assert.deepEqual([second.version, (await read()).tags], [2, ['a', 'b']]);
  });

  it('a change that throws changes nothing', async () => {
    const machine = await world.add(1);
    const work = world.profiles.change(machine.id, admin, () => {
      throw new TypeError('no');
    });
    await assert.rejects(work, /no/);
    assert.equal((await world.temp.storage.run((tx) => world.profiles.of(tx, machine))).version, 0);
  });

  it('interfaces drawn under a claim go with it; those drawn before stay', async () => {
    for (const before of [false, true]) {
      const machine = await world.add(before ? 2 : 1);
      const drawn = inventoriedInterfaces(machine, 7, 8);
      const draw = (who: typeof alice) =>
        world.profiles.change(machine.id, who, (profile) => ({ ...profile, interfaces: drawn }));
      if (before) await draw(admin);
      await world.allocations.claim(machine.id, alice);
      if (!before) await draw(alice);
      await world.profiles.change(machine.id, alice, (profile) => ({ ...profile, description: 'x' }));
      await world.allocations.release(machine.id, alice);
      const { interfaces } = await world.temp.storage.run((tx) => world.profiles.of(tx, machine));
      assert.deepEqual(interfaces, before ? drawn : null);
    }
  });
});
