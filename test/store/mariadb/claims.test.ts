import assert from 'node:assert/strict';
import type { Storage, Tx } from '../../../src/core/storage/storage.ts';
import { Member } from '../../operations/instances/member.ts';
import { by, UserWorld } from '../../operations/users/user-world.ts';
import { askMariadb } from '../../support/mariadb-server.ts';
import { requireStore } from '../../support/temp-database.ts';
import { until } from '../../support/until.ts';

describe('a machine that is claimed just when an operation begins there', () => {
  let world: UserWorld | undefined;

  afterEach(() => world?.close());
  /** Both have read whether somebody holds the machine, or one of them waits for the other one. */
  let readers = 0;
  async function met(): Promise<void> {
    readers += 1;
    const socket = process.env['CSBM_TEST_MARIADB_SOCKET']!;
    const waiting =
      "SELECT 1 FROM information_schema.processlist WHERE info LIKE '%FOR UPDATE' AND time_ms > 50";
    await until(async () => readers > 1 || (await askMariadb(socket, waiting)).length > 0, 'the other one');
  }

  const meeting = (storage: Storage): Storage => ({
    ...storage,
    run: (work) =>
      storage.run((tx) =>
        work(
          new Proxy(tx, {
            get: (target, name) => (name === 'claims' ? watched(target) : target[name as keyof Tx]),
          }),
        ),
      ),
  });
  const watched = ({ claims }: Tx): Tx['claims'] =>
    new Proxy(claims, {
      get: (target, name) => {
        if (name !== 'find') return (target[name as keyof typeof target] as () => unknown).bind(target);
        return async (...asked: Parameters<typeof target.find>) => {
          const found = await target.find(...asked);
          await met();
          return found;
        };
      },
    });

  // Each read what the other one had not stored yet, and both went on: a user held a machine that was being erased.
  it('is held by a user, or has the operation, and never both', async function () {
    requireStore(this, 'mariadb');
    world = await UserWorld.open(meeting, (storage) => new Member('a', storage).instances);
    const { id } = await world.add(1, { state: 'ready' });
    const name = `machine:${id}`;
    await world.temp.storage.run((tx) =>
      tx.leases.insert([{ name, kind: 'machine', owner: 'b', lost: false, notes: 0 }]),
    );
    const ends = await Promise.allSettled([
      world.operations.submit({
        kind: 'erase',
        machineId: id,
        grade: 'quick',
        requester: by('root', 'admin'),
      }),
      world.allocations.claim(id, by('anna')),
    ]);
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.ok(readers > 1);
  });
});
