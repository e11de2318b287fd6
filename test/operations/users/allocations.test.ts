import assert from 'node:assert/strict';
import type { Claim } from '../../../src/core/claim/claim.ts';
import type { Machine, MachineId } from '../../../src/core/machine/machine.ts';
import type { StartOrder } from '../../../src/operations/start.ts';
import { by, UserWorld } from './user-world.ts';

const alice = by('alice');
const bob = by('bob');
const admin = by('root', 'admin');

describe('allocations', () => {
  let world: UserWorld;
  beforeEach(async () => {
    world = await UserWorld.open();
  });
  afterEach(() => world.close());

  const claimOf = (id: MachineId): Promise<Claim | null> =>
    world.temp.storage.run((tx) => tx.claims.find(id));
  const instance = async (machine: Machine): Promise<void> =>
    world.temp.storage.run((tx) =>
      tx.claims.insert({
        machineId: machine.id,
        holder: 'instance',
        externalId: `acme/i-1-${machine.hostname}`,
        owner: 'acme',
        instanceUuid: null,
        since: 1,
        version: 1,
      }),
    );

  it('a ready machine is held by one, under a name of its own', async () => {
    const { id } = await world.add(1);
    await world.allocations.claim(id, alice, { agentName: 'juju' });
    const { holder, externalId, owner } = (await claimOf(id))!;
    assert.deepEqual([holder, externalId, owner], ['user', `maas/alice/${id}`, 'alice']);
    assert.equal((await world.temp.storage.run((tx) => tx.profiles.find(id)))?.agentName, 'juju');
    for (const somebody of [alice, bob, admin])
      await assert.rejects(world.allocations.claim(id, somebody), { code: 'claim.machine-taken' });
  });

  it('of many who ask at once, one gets it', async () => {
    const { id } = await world.add(1);
    const askers = Array.from({ length: 8 }, (_, n) => by(`user-${n}`));
    const results = await Promise.allSettled(askers.map((asker) => world.allocations.claim(id, asker)));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.match((await claimOf(id))!.owner, /^user-\d$/);
  });

  const unready: readonly (readonly [string, Partial<Machine>])[] = [
    ['machine.state', { state: 'new' }],
    ['machine.state', { state: 'deployed' }],
    ['machine.state', { state: 'failed' }],
    ['machine.no-evidence', { clean: null }],
    ['machine.quarantined', { quarantine: { code: 'x', reason: 'y', fenced: false, since: 1 } }],
  ];
  for (const [code, more] of unready)
    it(`a machine that is ${JSON.stringify(more).slice(0, 40)} is refused: ${code}`, async () => {
      const { id } = await world.add(1, more);
      await assert.rejects(world.allocations.claim(id, alice), { code });
    });

  it('what stands in a CloudStack, or an instance holds, is not there for a user, and refused to an administrator', async () => {
    const placed = await world.add(1, {
      cloudPlace: {
        cloud: 'acme',
        zone: 'z',
        pod: 'p',
        cluster: 'c',
        guid: 'g',
        hostId: null,
        hostTag: null,
      },
    });
    await assert.rejects(world.allocations.claim(placed.id, alice), { code: 'machine.unknown' });
    await assert.rejects(world.allocations.claim(placed.id, admin), { code: 'pool.door' });
    const held = await world.add(2, { state: 'deployed' });
    await instance(held);
    const { allocations } = world;
    const attempts = [
      (who: typeof alice) => allocations.claim(held.id, who),
      (who: typeof alice) => allocations.release(held.id, who),
      (who: typeof alice) => allocations.powerOff(held.id, who, { hard: true }),
      (who: typeof alice) => allocations.powerOn(held.id, who),
      (who: typeof alice) => allocations.powerCycle(held.id, who),
      (who: typeof alice) => allocations.abort(held.id, who),
      (who: typeof alice) => allocations.markBroken(held.id, who, 'mine now'),
      (who: typeof alice) => allocations.deploy(held.id, who, { image: 'x', userData: null, sshKeys: [] }),
      (who: typeof alice) => world.profiles.change(held.id, who, (profile) => profile),
    ];
    for (const attempt of attempts) await assert.rejects(attempt(alice), { code: 'machine.unknown' });
    for (const attempt of attempts.slice(0, -1))
      await assert.rejects(attempt(admin), { code: 'claim.machine-taken' });
    assert.equal((await claimOf(held.id))?.holder, 'instance');
  });

  it('a user commands nothing by another name than its own claim', async () => {
    const { id } = await world.add(1, { state: 'deployed' });
    await instance(await world.add(2, { state: 'deployed' }));
    await world.temp.storage.run((tx) =>
      tx.claims.insert({
        machineId: id,
        holder: 'user',
        externalId: `maas/bob/${id}`,
        owner: 'bob',
        instanceUuid: null,
        since: 1,
        version: 1,
      }),
    );
    const refused = { code: 'claim.not-held' };
    for (const externalId of [`maas/bob/${id}`, 'maas/alice/other', 'acme/i-1-VM']) {
      await assert.rejects(
        world.operations.submit({ kind: 'destroy', machineId: id, requester: alice, externalId }),
        refused,
      );
      await assert.rejects(
        world.operations.submit({ kind: 'stop', machineId: id, requester: alice, externalId, force: true }),
        refused,
      );
    }
    const order: StartOrder = {
      externalId: `maas/alice/${id}`,
      owner: 'alice',
      template: 'x',
      nics: [],
      hostname: 'h',
      sshKeys: [],
      userData: null,
    };
    // As an instance it would pass by the rules for users.
    await assert.rejects(
      world.operations.submit({
        ...order,
        kind: 'start',
        machineId: id,
        requester: alice,
        firstDeployment: true,
      }),
      refused,
    );
    await assert.rejects(world.allocations.markFixed(id, bob), { code: 'request.forbidden' });
    await assert.rejects(world.allocations.abort(id, alice), refused);
    await assert.rejects(world.allocations.powerOff(id, alice, { hard: true }), refused);
    // Free machines are claimed, not described.
    const free = await world.add(3);
    await assert.rejects(
      world.profiles.change(free.id, alice, (profile) => ({ ...profile, description: 'mine' })),
      refused,
    );
  });

  it('a pool hands out through its doors only, to instances as to users', async () => {
    const { id, hostname } = await world.add(1, { pool: 'cloud-only' });
    await world.pools.create('cloud-only', { doors: ['cloudstack'] }, admin);
    await assert.rejects(world.allocations.claim(id, alice), { code: 'pool.door' });
    await world.pools.update('cloud-only', { doors: ['maas'] }, admin);
    const start = {
      kind: 'start' as const,
      machineId: id,
      requester: by('acme', 'cloud'),
      firstDeployment: true,
      externalId: 'acme/i-2-7-VM',
      owner: 'acme',
      template: 'x',
      nics: [],
      hostname,
      sshKeys: [],
      userData: null,
    };
    await assert.rejects(world.operations.plan(start), { code: 'pool.door' });
    assert.equal((await world.operations.perform(start))?.error?.code, 'pool.door');
    assert.equal(await claimOf(id), null);
    await world.allocations.claim(id, alice);
  });

  it('outside the scope a machine is refused as one that is not there', async () => {
    const { id } = await world.add(1);
    const limited = by('carol', 'user', 'pool:other');
    await assert.rejects(world.allocations.claim(id, limited), { code: 'access.scope' });
    await assert.rejects(world.allocations.claim('zzzzzz' as MachineId, limited), { code: 'access.scope' });
    await assert.rejects(world.allocations.claim('zzzzzz' as MachineId, alice), { code: 'machine.unknown' });
    await assert.rejects(world.allocations.claim(id, by('eve', 'viewer')), { code: 'request.forbidden' });
  });

  it('a locked machine is not released, and what was said under a claim goes with it', async () => {
    const { id } = await world.add(1);
    await world.allocations.claim(id, alice);
    await world.profiles.change(id, alice, (profile) => ({
      ...profile,
      locked: true,
      ownerData: { a: 'b' },
    }));
    await assert.rejects(world.allocations.release(id, alice), { code: 'machine.locked' });
    await world.profiles.change(id, alice, (profile) => ({ ...profile, locked: false, tags: ['kept'] }));
    assert.deepEqual(await world.allocations.release(id, alice), {
      operation: null,
      already: 'node-1 is released: nothing was deployed',
    });
    const after = (await world.temp.storage.run((tx) => tx.profiles.find(id)))!;
    assert.deepEqual([after.ownerData, after.tags, await claimOf(id)], [{}, ['kept'], null]);
    assert.equal((await world.allocations.release(id, admin)).operation, null);
  });

  it('a broken machine is withheld and free; fixed, it is ready', async () => {
    const { id } = await world.add(1);
    await world.allocations.claim(id, alice);
    await world.allocations.markBroken(id, alice, 'fan');
    const { quarantine, state } = (await world.temp.storage.run((tx) => tx.machines.find(id)))!;
    assert.match(quarantine!.reason, /alice: fan/);
    assert.deepEqual([state, await claimOf(id)], ['ready', null]);
    await assert.rejects(world.allocations.claim(id, alice), { code: 'machine.quarantined' });
    await assert.rejects(world.allocations.markBroken(id, bob, 'no'), { code: 'claim.not-held' });
    await world.allocations.markFixed(id, admin);
    await assert.rejects(world.allocations.markFixed(id, admin), { code: 'machine.state' });
    await world.allocations.claim(id, bob);
  });
});
