import assert from 'node:assert/strict';
import { milliseconds } from '../../plugin-api/index.ts';
import type { Tx } from '../../src/core/storage/storage.ts';
import { Deferred } from '../../src/kernel/concurrency/deferred.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { requireStore } from '../support/temp-database.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { machine, machineId } from './samples.ts';

describe('unit of work', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage({ unitTimeout: milliseconds(1_000) });
    storage = temp.storage;
  });
  afterEach(() => temp.close());

  const hostnames = async (): Promise<string[]> =>
    (await storage.run((tx) => tx.machines.list())).map(({ hostname }) => hostname);

  it('writes nothing when its work rejects, and tells the reason itself', async () => {
    const reason = new Error('no');
    await assert.rejects(
      storage.run(async (tx) => {
        await tx.machines.insert(machine(1));
        throw reason;
      }),
      (error) => error === reason,
    );
    assert.deepEqual(await hostnames(), []);
  });

  it('is not touched by the rollback of another that was open at the same time', async () => {
    const begun = new Deferred<undefined>();
    const mayFail = new Deferred<undefined>();
    const failing = storage.run(async (tx) => {
      await tx.machines.insert(machine(1));
      begun.resolve(undefined);
      await mayFail.promise;
      throw new Error('no');
    });
    await begun.promise;
    const other = storage.run((tx) => tx.machines.insert(machine(2)));
    mayFail.resolve(undefined);
    await assert.rejects(failing, /no/);
    await other;
    assert.deepEqual(await hostnames(), ['node-2']);
  });

  it('runs in the order of asking', async function () {
    // MariaDB runs them side by side.
    requireStore(this, 'sqlite');
    const seen: number[] = [];
    await Promise.all(
      [1, 2, 3, 4].map((n) =>
        storage.run(async (tx) => {
          await tx.machines.insert(machine(n));
          seen.push(n);
        }),
      ),
    );
    assert.deepEqual(seen, [1, 2, 3, 4]);
  });

  it('is joined by calls inside it: they see its writes and are undone with it', async () => {
    await assert.rejects(
      storage.run(async (tx) => {
        await tx.machines.insert(machine(1));
        await storage.run(async (inner) => {
          assert.equal((await inner.machines.find(machineId(1)))?.hostname, 'node-1');
          await inner.machines.insert(machine(2));
        });
        throw new Error('no');
      }),
    );
    assert.deepEqual(await hostnames(), []);
  });

  it('does not commit when a joined call failed, even if that failure was caught', async () => {
    const reason = new Error('half done');
    await assert.rejects(
      storage.run(async (tx) => {
        await tx.machines.insert(machine(1));
        await storage
          .run(async (inner) => {
            await inner.machines.insert(machine(2));
            throw reason;
          })
          .catch(() => undefined);
      }),
      (error) => error === reason,
    );
    assert.deepEqual(await hostnames(), []);
  });

  it('goes on after a refused statement that its work expected', async () => {
    await storage.run((tx) => tx.machines.insert(machine(1)));
    await storage.run(async (tx) => {
      await rejectsWith(tx.machines.insert(machine(1)), 'store.conflict');
      await tx.machines.insert(machine(2));
    });
    assert.deepEqual(await hostnames(), ['node-1', 'node-2']);
  });

  it('cannot be used after its end', async () => {
    let kept: Tx | undefined;
    await storage.run(async (tx) => {
      kept = tx;
    });
    await rejectsWith(kept!.machines.insert(machine(1)), 'internal.bug');
    assert.deepEqual(await hostnames(), []);
  });

  it('is not joined by work that outlived it', async () => {
    const ended = new Deferred<undefined>();
    let late: Promise<void> | undefined;
    await storage.run(async () => {
      late = ended.promise.then(() => storage.run((tx) => tx.machines.insert(machine(1))));
    });
    ended.resolve(undefined);
    await late;
    assert.deepEqual(await hostnames(), ['node-1']);
  });

  it('is rolled back when it hangs, and the next one goes on', async () => {
    const short = await tempStorage({ unitTimeout: milliseconds(30) });
    try {
      const hung = short.storage.run(async (tx) => {
        await tx.machines.insert(machine(1));
        await new Promise(() => undefined);
      });
      await rejectsWith(hung, 'store.unavailable');
      assert.deepEqual(await short.storage.run((tx) => tx.machines.list()), []);
    } finally {
      await short.close();
    }
  });

  it('under way is waited for by close, and later ones are refused', async () => {
    const going = storage.run((tx) => tx.machines.insert(machine(1)));
    await storage.close();
    await going;
    await rejectsWith(
      storage.run(async () => undefined),
      'store.unavailable',
    );
    await storage.close();
  });
});
