import assert from 'node:assert/strict';
import type { Storage } from '../../src/core/storage/storage.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { by, UserWorld } from '../operations/users/user-world.ts';
import { until } from '../support/until.ts';

// The connection to the database broke at COMMIT, and MariaDB had stored the change. A command was refused although its operation was
// journaled and carried out, so that CloudStack went elsewhere with an instance that was being installed here. An operation whose end was
// stored so told nobody of it: what a failed Start had left on the disks was not erased.
describe('an operation of which the database stored something without saying so', () => {
  let world: UserWorld;
  /** Whether of a unit that was stored the answer is lost. */
  let loses: () => Promise<boolean> = () => Promise.resolve(false);

  beforeEach(async () => {
    loses = () => Promise.resolve(false);
    world = await UserWorld.open((storage): Storage => ({
      ...storage,
      run: async (work) => {
        const result = await storage.run(work);
        if (!(await loses())) return result;
        loses = () => Promise.resolve(false);
        throw new ServiceError({ code: 'store.outcome-unknown', what: 'the connection broke at COMMIT' });
      },
    }));
  });
  afterEach(() => world.close());

  it('is the one that its command joins, and goes on', async () => {
    const { id } = await world.add(1, { state: 'failed', clean: null });
    const { storage } = world.temp;
    loses = () => storage.run(async (tx) => (await tx.journal.active(id)) !== null);
    const { operation } = await world.operations.submit({
      kind: 'erase',
      machineId: id,
      grade: 'quick',
      requester: by('root', 'admin'),
    });
    const stored = await storage.run((tx) => tx.journal.list({ machineId: id }));
    assert.deepEqual(
      [operation?.id],
      stored.map((one) => one.id),
    );
    // As it is done again and again where others may be on the database.
    await world.operations.look();
    // Without a device behind it.
    assert.equal((await world.operations.ended(operation!.id)).state, 'failed');
  });

  it('tells its end', async () => {
    const { id } = await world.add(1, { state: 'failed', clean: null });
    const { storage } = world.temp;
    const ends: string[] = [];
    world.events.on('operation', (one) => {
      if (one.endedAt !== null) ends.push(one.id);
    });
    const { operation } = await world.operations.submit({
      kind: 'erase',
      machineId: id,
      grade: 'quick',
      requester: by('root', 'admin'),
    });
    loses = () => storage.run(async (tx) => (await tx.journal.find(operation!.id))?.endedAt != null);
    await until(() => ends.length > 0, 'its end to be told');
    assert.deepEqual(ends, [operation!.id]);
  });
});
