import assert from 'node:assert/strict';
import type { Mac } from '../../plugin-api/index.ts';
import type { Interface } from '../../src/core/network/interface.ts';
import type { ExecutionHooks } from '../../src/operations/journal/execution.ts';
import type { Submitted } from '../../src/operations/operations.ts';
import { until } from '../support/until.ts';
import { asker, UserStage, type UserStageOptions } from '../support/user-stage.ts';

const alice = asker('alice');
const bob = asker('bob');
const admin = asker('root', 'admin');

/** A machine for a person or program of its own: allocate, deploy, use, release; judged by the floor. */
describe('a machine that a user holds', function () {
  this.timeout(60_000);
  let users: UserStage;
  let close: () => Promise<void>;

  async function open(options: UserStageOptions = {}): Promise<void> {
    ({ users, close } = await UserStage.open(options));
  }

  /** What the floor's watcher must have seen besides nothing. */
  let tolerated: RegExp | null = null;

  afterEach(async () => {
    const violations = users.stage.floor.oracle.violations.filter(({ said }) => !tolerated?.test(said));
    tolerated = null;
    await close();
    assert.deepEqual(violations, []);
  });

  const row = () => users.stage.floor.table()[0]!;
  const ports = () => row().ports.map(({ native, tagged, up }) => (up ? [native, tagged] : 'shut'));
  const hardware = (index: number): Mac => users.stage.floor.machines[0]!.machine.nics[index]!.mac;
  const claim = async () => {
    const { id } = await users.machine();
    return users.read((tx) => tx.claims.find(id));
  };
  const state = async () => (await users.machine()).state;

  /** Draws the machine's interfaces: a bond over both NICs in one VLAN, further VLANs on it. */
  async function draw(vid: number, further: readonly number[] = []): Promise<void> {
    const { id } = await users.machine();
    const main = await users.vlan(vid);
    const nics = [0, 1].map((index): Interface => physical(index + 1, hardware(index), main));
    const bond: Interface = {
      ...physical(3, hardware(0), main),
      kind: 'bond',
      name: 'bond0',
      parents: [1, 2],
      links: [{ id: 1, mode: 'dhcp', subnet: null, address: null }],
    };
    const vlans = await Promise.all(
      further.map(async (one, index): Promise<Interface> => ({
        ...physical(4 + index, hardware(0), await users.vlan(one)),
        kind: 'vlan',
        name: `bond0.${one}`,
        parents: [3],
        links: [{ id: 2 + index, mode: 'dhcp', subnet: null, address: null }],
      })),
    );
    users.stage.floor.router.reserve(vid, hardware(0));
    for (const one of further) users.stage.floor.router.reserve(one, hardware(0));
    await users.inside.profiles.change(id, alice, (profile) => ({
      ...profile,
      interfaces: [...nics, bond, ...vlans],
    }));
  }

  async function end(
    submitted: Submitted,
  ): Promise<{ readonly state: string; readonly code: string | null }> {
    assert.ok(submitted.operation, 'an operation was begun');
    const ended = await users.inside.operations.ended(submitted.operation.id);
    return { state: ended.state, code: ended.error?.code ?? null };
  }

  const deploy = async (by = alice, image = 'lab-linux') =>
    users.inside.allocations.deploy((await users.machine()).id, by, { image, userData: null, sshKeys: [] });

  const leases = () => row().leases.map(({ mac, vlan }) => [mac, vlan]);

  const networks = [
    { name: 'red-1', tenant: 'red', vlan: 200, prefix: '10.1.200' },
    { name: 'red-2', tenant: 'red', vlan: 201, prefix: '10.1.201' },
  ];

  it('is allocated, deployed on the VLANs of its interfaces, cycled, released and erased', async () => {
    await open({ floor: { networks } });
    const { allocations, profiles } = users.inside;
    const { id } = await users.machine();
    await allocations.claim(id, alice, { agentName: 'juju' });
    assert.equal(await state(), 'ready');
    await assert.rejects(allocations.claim(id, bob), { code: 'claim.machine-taken' });
    await assert.rejects(deploy(bob), { code: 'claim.not-held' });
    await profiles.change(id, alice, (profile) => ({ ...profile, ownerData: { why: 'a test' } }));
    await draw(200, [201]);

    assert.deepEqual(await end(await deploy()), { state: 'done', code: null });
    await until(() => leases().length === 2, 'both leases');
    assert.deepEqual(leases(), [
      [hardware(0), 200],
      [hardware(0), 201],
    ]);
    assert.deepEqual(ports(), [
      [200, [201]],
      [200, [201]],
    ]);
    assert.equal(await state(), 'deployed');

    assert.equal((await end(await allocations.powerOff(id, alice, { hard: false }))).state, 'done');
    assert.equal(row().power, 'off');
    // What is said of its interfaces since does not move a deployed machine.
    assert.equal((await end(await allocations.powerOn(id, alice))).state, 'done');
    assert.equal(row().power, 'on');
    assert.equal((await end(await allocations.powerCycle(id, alice))).state, 'done');
    await until(() => row().phase === 'os', 'the system after the cycle');

    await assert.rejects(allocations.release(id, bob), { code: 'claim.not-held' });
    assert.equal((await end(await allocations.release(id, alice))).state, 'done');
    assert.deepEqual(ports(), [
      [100, []],
      [100, []],
    ]);
    assert.deepEqual([row().power, row().disks[0]!.image, row().disks[0]!.residue], ['off', null, null]);
    assert.equal(await claim(), null);
    assert.equal(await state(), 'ready');
    const { ownerData, agentName, interfaces } = await users.read((tx) => profiles.of(tx, { id }));
    assert.deepEqual([ownerData, agentName, interfaces], [{}, '', null]);
  });

  it('is claimed by its deployment where it is free; what can be refused at once claims nothing', async () => {
    await open();
    await assert.rejects(deploy(alice, 'no-such-image'), { code: 'image.no-match' });
    await assert.rejects(deploy(), { code: 'network.provisioning-stay' });
    assert.equal(await claim(), null);
    const { id } = await users.machine();
    const vlan = await users.vlan(200);
    users.stage.floor.router.reserve(200, hardware(1));
    // An administrator draws before anybody holds the machine: that stays when a user gives it back.
    await users.inside.profiles.change(id, admin, (profile) => ({
      ...profile,
      interfaces: [
        physical(1, hardware(0), null),
        { ...physical(2, hardware(1), vlan), links: [{ id: 1, mode: 'auto', subnet: null, address: null }] },
      ],
    }));
    assert.deepEqual(await end(await deploy()), { state: 'done', code: null });
    await until(() => leases().length === 1, 'the lease');
    assert.deepEqual(ports(), ['shut', [200, []]]);
    assert.equal((await claim())?.owner, 'alice');
    assert.equal((await end(await users.inside.allocations.release(id, admin))).state, 'done');
    assert.equal((await users.read((tx) => users.inside.profiles.of(tx, { id }))).interfaces?.length, 2);
  });

  it('stays its user’s when the deployment fails, over a restart too, until it is released', async () => {
    await open();
    const { id } = await users.machine();
    await users.inside.allocations.claim(id, alice);
    await draw(200);
    const { behaviours } = users.stage.floor.machines[0]!.machine;
    behaviours.add({ kind: 'agent-fails', code: 'deploy.agent-failed', said: 'no such disk' });
    assert.deepEqual(await end(await deploy()), { state: 'failed', code: 'deploy.agent-failed' });
    behaviours.clear();
    const kept = async (): Promise<void> => {
      assert.equal((await claim())?.owner, 'alice');
      assert.equal(await state(), 'failed');
      assert.equal(row().power, 'off');
      assert.equal(await users.read((tx) => tx.journal.active(id)), null);
    };
    await kept();
    await users.stage.service.stop();
    await users.stage.serve();
    await kept();
    await assert.rejects(users.inside.allocations.powerOn(id, alice), { code: 'machine.state' });
    await assert.rejects(deploy(), { code: 'machine.state' });
    assert.equal((await end(await users.inside.allocations.release(id, alice))).state, 'done');
    assert.equal(await state(), 'ready');
    assert.notEqual((await users.machine()).clean, null);
  });

  it('is allocated again, or failed and released, by when its deployment is aborted', async () => {
    let react: ((name: string) => void) | null = null;
    const hooks: ExecutionHooks = { onBoundary: (name) => react?.(name) };
    await open({ hooks });
    const { allocations } = users.inside;
    const { id } = await users.machine();
    await allocations.claim(id, alice);
    await draw(200);
    const abortAt = async (boundary: string): Promise<void> => {
      const asked = new Promise<void>((resolve, reject) => {
        react = (name) => {
          if (name !== boundary) return;
          react = null;
          allocations.abort(id, alice).then(resolve, reject);
        };
      });
      const submitted = await deploy();
      await asked;
      assert.deepEqual(await end(submitted), { state: 'cancelled', code: 'operation.cancelled' });
      assert.equal((await claim())?.owner, 'alice');
      assert.equal(row().power, 'off');
    };
    await assert.rejects(allocations.abort(id, alice), { code: 'machine.state' });
    await abortAt('start-first:power.off:intent');
    assert.equal(await state(), 'ready');
    await abortAt('start-first:deploy.wait:intent');
    assert.equal(await state(), 'failed');
    assert.equal((await end(await allocations.release(id, alice, { grade: 'quick' }))).state, 'done');
    assert.equal(await state(), 'ready');
  });

  it('is given back without an operation while nothing was deployed on it', async () => {
    await open();
    const { allocations, operations } = users.inside;
    const { id } = await users.machine();
    await allocations.claim(id, alice);
    const plan = await operations.plan({
      kind: 'destroy',
      machineId: id,
      requester: alice,
      externalId: (await claim())!.externalId,
    });
    assert.deepEqual(
      plan.map(({ step }) => step),
      ['claim'],
    );
    await assert.rejects(allocations.powerOn(id, alice), { code: 'machine.state' });
    await assert.rejects(allocations.powerCycle(id, alice), { code: 'machine.state' });
    const count = async () => (await users.read((tx) => tx.journal.list({ machineId: id }))).length;
    const before = await count();
    const released = await allocations.release(id, alice);
    assert.equal(released.operation, null);
    assert.equal(await count(), before);
    assert.deepEqual([await claim(), await state()], [null, 'ready']);

    // The same where a deployment failed before the machine could write anything.
    await allocations.claim(id, alice);
    await draw(200);
    users.stage.floor.machines[0]!.machine.behaviours.add({ kind: 'power-stuck', at: 'on' });
    await users.stage.admin.call('POST', '/machines/server-1/quarantine', { reason: 'away' });
    await assert.rejects(deploy(), { code: 'machine.quarantined' });
    await users.stage.admin.call('DELETE', '/machines/server-1/quarantine', { reason: 'back' });
    users.stage.floor.machines[0]!.machine.behaviours.clear();
    assert.equal((await allocations.release(id, alice)).operation, null);
  });

  it('may stay where it was installed only in a trusted pool, and runs there', async () => {
    await open();
    const { allocations, pools } = users.inside;
    tolerated = /its system runs with .* open on the provisioning network/;
    await pools.update('default', { trusted: true }, admin);
    assert.deepEqual(await end(await deploy()), { state: 'done', code: null });
    await until(() => row().phase === 'os', 'the system');
    assert.deepEqual(ports(), [[100, []], 'shut']);
    const { id } = await users.machine();
    const shown = (await users.stage.admin.call('GET', '/machines/server-1'))['machine'] as Record<
      string,
      unknown
    >;
    assert.equal((shown['deployment'] as Record<string, unknown>)['native'], 'provisioning');
    assert.equal((await end(await allocations.powerOff(id, alice, { hard: true }))).state, 'done');
    assert.equal((await end(await allocations.powerOn(id, alice))).state, 'done');
    assert.equal((await end(await allocations.release(id, alice))).state, 'done');
  });

  it('carries nothing untagged where only VLAN interfaces have addresses: that leads to the park VLAN', async () => {
    await open({ floor: { park: { vlan: 998 } } });
    const { id } = await users.machine();
    users.stage.floor.router.reserve(200, hardware(0));
    const [untagged, vlan] = [await users.vlan(0), await users.vlan(200)];
    await users.inside.profiles.change(id, admin, (profile) => ({
      ...profile,
      interfaces: [
        physical(1, hardware(0), untagged),
        {
          ...physical(2, hardware(0), vlan),
          kind: 'vlan',
          name: 'eth0.200',
          parents: [1],
          links: [{ id: 1, mode: 'dhcp', subnet: null, address: null }],
        },
      ],
    }));
    assert.deepEqual(await end(await deploy()), { state: 'done', code: null });
    await until(() => leases().length === 1, 'the lease');
    assert.deepEqual(ports(), [
      [998, [200]],
      [998, []],
    ]);
    for (const { model } of users.stage.floor.switches)
      assert.ok(!model.effective('fortyGigE 1/49').tagged.includes(998), 'the park VLAN leads nowhere');
    assert.equal((await end(await users.inside.allocations.release(id, alice))).state, 'done');
  });

  for (const boundary of [
    'start-first:claim:intent',
    'start-first:deploy.power-on:intent',
    'start-first:deploy.wait:effect',
    'start-first:ports.tenant:intent',
    'destroy:erase.wait:intent',
  ])
    it(`goes on after the service was cut at ${boundary}`, async () => {
      let cut: (() => void) | null = null;
      const stopped = new Promise<void>((resolve) => {
        cut = () => {
          cut = null;
          resolve(users.stage.service.stop());
        };
      });
      await open({
        hooks: { onBoundary: (name) => name === boundary && cut?.() },
        timings: { bootSeen: '200s' },
        floor: { machine: { pxeFailure: 'stop' } },
      });
      const { id } = await users.machine();
      await users.inside.allocations.claim(id, alice);
      await draw(200);
      let operation = (await deploy()).operation!.id;
      if (boundary.startsWith('destroy')) {
        await users.inside.operations.ended(operation);
        operation = (await users.inside.allocations.release(id, alice)).operation!.id;
      }
      await stopped;
      await users.stage.serve();
      assert.equal((await users.inside.operations.ended(operation)).state, 'done');
      if (boundary.startsWith('destroy')) {
        assert.deepEqual([await claim(), await state()], [null, 'ready']);
        return;
      }
      await until(() => leases().length === 1, 'the lease');
      assert.deepEqual([(await claim())?.owner, await state()], ['alice', 'deployed']);
    });
});

function physical(id: number, mac: Mac, vlan: number | null): Interface {
  return {
    id,
    kind: 'physical',
    name: `eth${id - 1}`,
    mac,
    vlan,
    parents: [],
    enabled: true,
    tags: [],
    params: {},
    links: [{ id: id + 100, mode: 'link_up', subnet: null, address: null }],
  };
}
