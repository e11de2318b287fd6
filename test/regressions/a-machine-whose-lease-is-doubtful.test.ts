import assert from 'node:assert/strict';
import type { LeaseStore, Storage, Tx } from '../../src/core/storage/storage.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { rendezvous } from '../../src/operations/instances/rendezvous.ts';
import { Member, timings } from '../operations/instances/member.ts';
import { machine } from '../store/samples.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { until } from '../support/until.ts';

const { id } = machine(1);
const leases = [`machine:${id}`, 'single:prune'];
const changes: readonly (keyof LeaseStore)[] = ['insert', 'take', 'release'];

// The connection to the database broke at COMMIT: the lease was taken or given back, and its holder did not know. A machine that was
// taken so was polled and linked to CloudStack by nobody until the instance ended, and what runs once ran nowhere; one that was given back
// so was kept beside its next holder.
describe('a lease that was taken or given back without an answer', () => {
  let temp: TempStorage;
  /** Of the next unit that changes this lease the answer is lost. */
  let losing: string | null = null;
  let storage: Storage;

  const owner = async (name: string): Promise<string | null> =>
    (await temp.storage.run((tx) => tx.leases.find(name)))?.owner ?? null;

  beforeEach(async () => {
    temp = await tempStorage();
    await temp.storage.run((tx) => tx.machines.insert(machine(1)));
    storage = {
      ...temp.storage,
      run: async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
        const lost: string[] = [];
        const result = await temp.storage.run((tx) => {
          const leases = new Proxy(tx.leases, {
            get: (store, called) => {
              const method = Reflect.get(store, called) as (...args: unknown[]) => unknown;
              return (...args: unknown[]) => {
                const about = JSON.stringify(args[0]);
                if (losing !== null && changes.includes(called as keyof LeaseStore) && about.includes(losing))
                  lost.push(losing);
                return method.apply(store, args);
              };
            },
          });
          return work({ ...tx, leases });
        });
        if (lost.length === 0) return result;
        losing = null;
        throw new ServiceError({ code: 'store.outcome-unknown', what: 'the connection broke at COMMIT' });
      },
    };
  });
  afterEach(() => temp.close());

  /** Looks until it is so. */
  const looking = (member: Member, so: () => boolean | Promise<boolean>, what: string): Promise<void> =>
    until(async () => {
      await member.clock.advance(timings.leaseHeartbeat);
      return so();
    }, what);

  for (const name of leases)
    it(`${name} is known to be ours`, async () => {
      const free = { kind: name === 'single:prune' ? 'single' : 'machine', lost: false, notes: 0 } as const;
      await temp.storage.run((tx) => tx.leases.insert([{ name, owner: null, ...free }]));
      const member = new Member('in-a', storage);
      member.instances.lead('prune');
      await member.instances.join();
      losing = name;
      await assert.rejects(member.instances.start(), { code: 'store.outcome-unknown' });
      assert.equal(await owner(name), 'in-a');
      member.instances.watch();
      await looking(
        member,
        () =>
          name === 'single:prune' ? member.instances.leads('prune') : member.instances.machines.holds(id),
        `${name} to be held`,
      );
      await member.instances.leave();
    });

  it('is not kept by who gave it back', async () => {
    const a = await Member.join('in-a', storage);
    assert.equal(await owner(`machine:${id}`), 'in-a');
    const heir = Array.from({ length: 100 }, (_, n) => `in-b${n}`).find(
      (other) => rendezvous(`machine:${id}`, ['in-a', other]) === other,
    );
    const b = new Member(heir!, temp.storage);
    await b.instances.join();
    losing = `machine:${id}`;
    await looking(a, () => a.left.length > 0, 'the lease to be given back');
    await until(() => a.clock.sleeping > 1, 'its look to be over');
    assert.equal(a.instances.machines.holds(id), false);
    assert.deepEqual([await owner(`machine:${id}`), a.left], [null, [id]]);
    await a.instances.leave();
    await b.instances.leave();
  });
});
