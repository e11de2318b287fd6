import assert from 'node:assert/strict';
import type { Mac } from '../../plugin-api/index.ts';
import type { ExecutionHooks } from '../../src/operations/journal/execution.ts';
import type { Submitted } from '../../src/operations/operations.ts';
import { PoweringEngine } from '../support/powering-engine.ts';
import { until } from '../support/until.ts';
import { asker, UserStage } from '../support/user-stage.ts';

const alice = asker('alice');

/** Law 9 where the deploy engine drives the power of its phases: we only look on, and take over when it is through. */
describe('an engine that drives the power itself', function () {
  this.timeout(60_000);
  let users: UserStage;
  let close: () => Promise<void>;
  let engine: PoweringEngine;
  let react: ((name: string) => void) | null;

  beforeEach(async () => {
    let made: PoweringEngine | null = null;
    react = null;
    const hooks: ExecutionHooks = { onBoundary: (name) => react?.(name) };
    ({ users, close } = await UserStage.open({
      engine: 'upstream',
      engines: (stage) => [(made ??= new PoweringEngine(stage.floor.machines[0]!))],
      hooks,
    }));
    engine = made!;
    const { id } = await users.machine();
    const vlan = await users.vlan(200);
    users.stage.floor.router.reserve(200, hardware());
    await users.inside.profiles.change(id, asker('root', 'admin'), (profile) => ({
      ...profile,
      interfaces: [
        {
          id: 1,
          kind: 'physical',
          name: 'eth0',
          mac: hardware(),
          vlan,
          parents: [],
          enabled: true,
          tags: [],
          params: {},
          links: [{ id: 1, mode: 'dhcp', subnet: null, address: null }],
        },
      ],
    }));
  });

  afterEach(async () => {
    // Its system runs once where it was installed: so does that of an upstream engine.
    const violations = users.stage.floor.oracle.violations.filter(
      ({ said }) => !/its system runs with .* open on the provisioning network/.test(said),
    );
    await close();
    assert.deepEqual(violations, []);
    assert.deepEqual(engine.meddling, [], 'nobody else touched the power while the engine was at work');
  });

  const row = () => users.stage.floor.table()[0]!;
  const hardware = (): Mac => users.stage.floor.machines[0]!.machine.nics[0]!.mac;
  const state = async () => (await users.machine()).state;
  const deploy = async (): Promise<Submitted> =>
    users.inside.allocations.deploy((await users.machine()).id, alice, {
      image: 'lab-linux',
      userData: null,
      sshKeys: [],
    });

  async function end({ operation }: Submitted): Promise<string> {
    assert.ok(operation);
    return (await users.inside.operations.ended(operation.id)).state;
  }

  it('commissions, deploys and erases; we move the ports while the machine is off, and boot the disk', async () => {
    assert.deepEqual(engine.calls, ['begin commission', 'begin erase']);
    assert.equal(await state(), 'ready');
    const submitted = await deploy();
    assert.equal(await end(submitted), 'done');
    await until(() => row().leases.length === 1, 'the lease on the tenant’s VLAN');
    assert.equal(row().ports[0]!.native, 200);
    const steps = await users.read((tx) => tx.journal.steps(submitted.operation!.id));
    assert.deepEqual(
      steps.map(({ name }) => name).filter((name) => name.startsWith('deploy.')),
      ['deploy.hand-over', 'deploy.order', 'deploy.wait', 'deploy.power-off'],
    );
    const { id } = await users.machine();
    assert.equal(await end(await users.inside.allocations.release(id, alice, { grade: 'quick' })), 'done');
    assert.equal(await state(), 'ready');
    assert.deepEqual([row().power, row().disks[0]!.image, row().ports[0]!.native], ['off', null, 100]);
  });

  it('fails: the order is taken back, the machine confirmed off, and left to its user', async () => {
    engine.failure = 'curtin said no';
    assert.equal(await end(await deploy()), 'failed');
    assert.equal(engine.calls.at(-1), 'withdraw deploy');
    assert.equal(await state(), 'failed');
    assert.deepEqual([row().power, row().ports[0]!.native], ['off', 100]);
  });

  it('is away for a while: it works on, and so do we; away at the withdrawal, it is asked again', async () => {
    let release: (() => void) | null = null;
    engine.halfway = new Promise((resolve) => {
      release = resolve;
    });
    const first = await deploy();
    await until(() => row().power === 'on', 'the machine at work');
    engine.away = 3;
    await until(() => engine.away === 0, 'three questions in vain');
    release!();
    assert.equal(await end(first), 'done');
    const { id } = await users.machine();
    assert.equal(await end(await users.inside.allocations.release(id, alice)), 'done');

    engine.halfway = new Promise(() => undefined);
    const second = await deploy();
    await until(() => row().power === 'on', 'the machine at work');
    await users.inside.allocations.abort(id, alice);
    engine.away = 1;
    assert.equal(await end(second), 'cancelled');
    assert.equal(engine.calls.at(-1), 'withdraw deploy');
    assert.equal(row().power, 'off');
  });

  it('goes on while the service is away, and is found where it stands', async () => {
    const stopped = new Promise<void>((resolve) => {
      react = (name) => {
        if (name !== 'start-first:deploy.wait:intent') return;
        react = null;
        resolve(users.stage.service.stop());
      };
    });
    const { operation } = await deploy();
    await stopped;
    await users.stage.serve();
    assert.equal((await users.inside.operations.ended(operation!.id)).state, 'done');
    assert.equal(engine.calls.filter((call) => call === 'begin deploy').length, 1);
    await until(() => row().leases.length === 1, 'the lease');
  });
});
