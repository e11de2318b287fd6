import assert from 'node:assert/strict';
import { seconds } from '../../../plugin-api/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { Deferred } from '../../../src/kernel/concurrency/deferred.ts';
import { openStorage, type SqlStorage } from '../../../src/store/open-storage.ts';
import { requireStore, type MariadbDatabase } from '../../support/temp-database.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { rejectsWith } from '../rejects-with.ts';
import { machine } from '../samples.ts';

describe('an instance that was declared gone', function () {
  this.timeout(60_000);
  let temp: TempStorage;
  let late: SqlStorage;

  before(function () {
    requireStore(this, 'mariadb');
  });
  beforeEach(async () => {
    temp = await tempStorage();
    late = await openStorage({
      ...{ ...(temp.database as MariadbDatabase), key: temp.key, clock: new SystemClock() },
      idleTransaction: seconds(1),
    });
    const record = { name: 'late', version: '1', adminUrl: null, process: '', startedAt: 1, endedAt: null };
    await temp.storage.run((tx) =>
      tx.instances.insert({ ...record, id: 'late', state: 'alive', reason: null }),
    );
    late.fenceBy('late');
  });
  afterEach(async () => {
    await late.close();
    await temp.close();
  });

  const declareGone = (): Promise<boolean> =>
    temp.storage.run((tx) => tx.instances.end('late', null, 2, 'silent'));
  const there = async (): Promise<number> => (await temp.storage.run((tx) => tx.machines.list())).length;

  it('stores nothing more, but still reads', async () => {
    await late.run((tx) => tx.machines.insert(machine(1)));
    assert.equal(await declareGone(), true);
    await rejectsWith(
      late.run((tx) => tx.machines.insert(machine(2))),
      'instance.gone',
    );
    assert.equal(await there(), 1);
    assert.equal((await late.run((tx) => tx.machines.list())).length, 1);
  });

  it('does not commit what it had begun before', async () => {
    const gone = new Deferred<void>();
    const begun = new Deferred<void>();
    const unit = late.run(async (tx) => {
      await tx.machines.insert(machine(1));
      begun.resolve();
      await gone.promise;
    });
    await begun.promise;
    assert.equal(await declareGone(), true);
    gone.resolve();
    await rejectsWith(unit, 'instance.gone');
    assert.equal(await there(), 0);
  });

  it('does not hold up the others with the rows that it had locked when it froze', async () => {
    await late.run((tx) => tx.machines.insert(machine(1)));
    const thawed = new Deferred<void>();
    const frozen = new Deferred<void>();
    const unit = late.run(async (tx) => {
      const one = (await tx.machines.find(machine(1).id))!;
      await tx.machines.update({ ...one, pool: 'late' });
      // Its own row too, as in the middle of a commit.
      await tx.instances.announce('late', 'http://late');
      frozen.resolve();
      await thawed.promise;
      await tx.machines.list();
    });
    await frozen.promise;
    assert.equal(await declareGone(), true);
    await temp.storage.run(async (tx) => {
      const one = (await tx.machines.find(machine(1).id))!;
      await tx.machines.update({ ...one, pool: 'other' });
    });
    thawed.resolve();
    await assert.rejects(unit);
    assert.equal((await temp.storage.run((tx) => tx.machines.find(machine(1).id)))?.pool, 'other');
  });
});
