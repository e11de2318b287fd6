import assert from 'node:assert/strict';
import { milliseconds } from '../../../plugin-api/index.ts';
import { asCodedError } from '../../../src/kernel/errors/service-error.ts';
import type { MachineId } from '../../../src/core/machine/machine.ts';
import type { Storage } from '../../../src/core/storage/storage.ts';
import { machine, operation } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { until } from '../../support/until.ts';
import { Member } from './member.ts';

describe('instances among each other', () => {
  let temp: TempStorage;
  let members: Member[];

  beforeEach(async () => {
    temp = await tempStorage();
    members = [];
  });
  afterEach(async () => {
    for (const member of members) await member.instances.leave();
    await temp.close();
  });

  const join = async (id: string): Promise<Member> => {
    const member = await Member.join(id, temp.storage);
    members.push(member);
    return member;
  };
  /** The database does not answer; the returned function brings it back. */
  const away = (): (() => void) => {
    const storage = temp.storage as { run: Storage['run'] };
    const run: Storage['run'] = storage.run.bind(storage);
    storage.run = () => Promise.reject(new Error('the database is away'));
    return () => {
      storage.run = run;
    };
  };
  const addMachines = async (count: number): Promise<MachineId[]> => {
    const ids = Array.from({ length: count }, (_, i) => machine(i + 1));
    for (const one of ids) await temp.storage.run((tx) => tx.machines.insert(one));
    return ids.map(({ id }) => id);
  };
  const owners = async (): Promise<(string | null)[]> =>
    (await temp.storage.run((tx) => tx.leases.ofKind('machine'))).map(({ owner }) => owner);
  const shared = async (...ids: readonly string[]): Promise<boolean> => {
    const now = await owners();
    return now.every((owner) => owner !== null) && ids.every((id) => now.includes(id));
  };
  const codeOf = (work: () => unknown): string | null => {
    try {
      work();
      return null;
    } catch (thrown) {
      return asCodedError(thrown).code;
    }
  };

  it('declare gone who is silent for the time of a lease, and not a beat sooner', async () => {
    const [a, b] = [await join('a'), await join('b')];
    await Member.beat(a, b);
    for (let i = 0; i < 4; i += 1) await Member.beat(a);
    assert.equal(await b.state(), 'alive');
    for (let i = 0; i < 2; i += 1) await Member.beat(a);
    await until(async () => (await b.state()) === 'gone', 'b to be gone');
    // It is frozen until now, and sees it with its first beat.
    assert.equal(
      codeOf(() => b.instances.assertCurrent()),
      null,
    );
    await b.clock.advance(milliseconds(16_000));
    const reason = await b.instances.gone;
    assert.equal(reason.code, 'instance.gone');
    assert.equal(
      codeOf(() => b.instances.assertCurrent()),
      'instance.gone',
    );
    assert.equal(await a.state(), 'alive');
  });

  it('touch no device before their lease could be over, until they have beaten again', async () => {
    const a = await join('a');
    await Member.beat(a);
    const back = away();
    await a.clock.advance(milliseconds(11_000));
    assert.equal(
      codeOf(() => a.instances.assertCurrent()),
      null,
    );
    await a.clock.advance(milliseconds(1_500));
    assert.equal(
      codeOf(() => a.instances.assertCurrent()),
      'instance.silent',
    );
    const current = a.instances.current();
    back();
    await a.clock.advance(milliseconds(3_000));
    await current;
    assert.equal(
      codeOf(() => a.instances.assertCurrent()),
      null,
    );
  });

  it('who has not looked for a while does not take the others for dead', async () => {
    const [a, b] = [await join('a'), await join('b')];
    await Member.beat(a, b);
    // The database was away for both, and a is the first to be back.
    const back = away();
    await a.clock.advance(milliseconds(40_000));
    back();
    await Member.beat(a);
    assert.equal(await b.state(), 'alive');
    await Member.beat(a, b);
    assert.equal(await b.state(), 'alive');
  });

  it('share the machines, hand over what another should have, and take what a dead one had', async () => {
    const ids = await addMachines(12);
    const a = await join('a');
    assert.equal(
      ids.every((id) => a.instances.machines.holds(id)),
      true,
    );
    const b = await join('b');
    await until(async () => {
      await Member.beat(a, b);
      return shared('a', 'b');
    }, 'both to have machines');
    assert.ok(a.left.length > 0);
    for (const id of ids)
      assert.notEqual(a.instances.machines.holds(id), b.instances.machines.holds(id), `${id} has one holder`);
    for (let i = 0; i < 7; i += 1) await Member.beat(a);
    await until(async () => {
      await a.clock.advance(milliseconds(250));
      return ids.every((id) => a.instances.machines.holds(id));
    }, 'a to have all');
    assert.equal(await b.state(), 'gone');
  });

  it('a machine is not handed over while an operation runs there; with a dead one it comes along', async () => {
    const ids = await addMachines(8);
    const a = await join('a');
    const held = await temp.storage.run(async (tx) => {
      for (const [i, machineId] of ids.entries()) {
        const leaseOwner = await a.instances.machines.holderFor(tx, machineId);
        await tx.journal.insert({ ...operation(`op-${i}`, i + 1), machineId, leaseOwner });
      }
      return tx.journal.heldBy('a');
    });
    assert.equal(held.length, ids.length);
    const b = await join('b');
    for (let i = 0; i < 3; i += 1) await Member.beat(a, b);
    assert.deepEqual(new Set(await owners()), new Set(['a']));
    for (let i = 0; i < 7; i += 1) await Member.beat(b);
    await until(async () => {
      await b.clock.advance(milliseconds(250));
      return b.adopted.length === ids.length;
    }, 'b to go on with all operations');
    const operations = await temp.storage.run((tx) => tx.journal.listActive());
    assert.deepEqual(
      new Set(operations.map(({ leaseOwner, fence }) => `${leaseOwner} ${fence}`)),
      new Set(['b 1']),
    );
  });

  it('an operation begun elsewhere is the holder’s', async () => {
    const [id] = await addMachines(1);
    const a = await join('a');
    const b = await join('b');
    await Member.beat(a, b);
    // It may be on its way from the first to the second.
    const settled = (): Member | undefined => [a, b].find(({ instances }) => instances.machines.keeps(id!));
    await until(async () => {
      await Promise.all([a, b].map(({ clock }) => clock.advance(milliseconds(250))));
      const [owner] = await owners();
      return owner !== null && settled()?.id === owner;
    }, 'the machine to have a holder');
    const holder = settled()!;
    for (const member of [a, b])
      assert.equal(await temp.storage.run((tx) => member.instances.machines.holderFor(tx, id!)), holder.id);
  });

  it('what runs once runs in one of them, and in another when that one goes', async () => {
    const [a, b] = [new Member('a', temp.storage), new Member('b', temp.storage)];
    for (const member of [a, b]) {
      members.push(member);
      member.instances.lead('prune');
      await member.instances.join();
      await member.instances.start();
      member.instances.watch();
    }
    assert.deepEqual([a.instances.leads('prune'), b.instances.leads('prune')], [true, false]);
    await a.instances.leave();
    await until(async () => {
      await b.clock.advance(milliseconds(250));
      return b.instances.leads('prune');
    }, 'b to lead');
  });

  it('who drains takes nothing, and is gone once it has left', async () => {
    const ids = await addMachines(6);
    const [a, b] = [await join('a'), await join('b')];
    await until(async () => {
      await Member.beat(a, b);
      return shared('a', 'b');
    }, 'both to have machines');
    await a.instances.drain();
    await a.instances.machines.releaseAll();
    await Member.beat(b);
    await until(async () => {
      await b.clock.advance(milliseconds(250));
      return ids.every((id) => b.instances.machines.holds(id));
    }, 'b to have all');
    await a.instances.leave();
    assert.equal(await a.state(), 'gone');
  });
});
