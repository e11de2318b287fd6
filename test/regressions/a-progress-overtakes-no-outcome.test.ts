import assert from 'node:assert/strict';
import { seconds } from '../../plugin-api/index.ts';
import type { Storage, Tx } from '../../src/core/storage/storage.ts';
import { Execution } from '../../src/operations/journal/execution.ts';
import { done } from '../../src/operations/journal/step.ts';
import type { World } from '../../src/operations/world.ts';
import { machine, operation } from '../store/samples.ts';
import { executionWorld, oneStep } from '../support/execution-world.ts';
import { tempStorage } from '../support/temp-storage.ts';

/** So many turns of the event loop: whatever was to begin has begun. */
async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

// On MariaDB units of work do not run in the order of asking. A step's progress that was stored after its outcome made it a step that was
// cut, to be run again after a crash; stored after the end of the operation it made that one active again, with nobody to carry it out.
describe('the progress of a step', () => {
  it('is not stored over its outcome, nor over the end of the operation', async () => {
    const temp = await tempStorage();
    try {
      let late = false;
      let ahead = 0;
      let others: (() => void)[] = [];
      const stored: Promise<void>[] = [];
      const storage = {
        ...temp.storage,
        run: async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
          if (late) {
            late = false;
            const said: ((tx: Tx) => Promise<unknown>)[] = [];
            const journal = {
              update: async (...args: Parameters<Tx['journal']['update']>) =>
                void said.push((tx) => tx.journal.update(...args)),
              putStep: async (...args: Parameters<Tx['journal']['putStep']>) =>
                void said.push((tx) => tx.journal.putStep(...args)),
            };
            const result = await work({ journal } as unknown as Tx);
            // It waits for the row, until another unit has let go of it, or none comes.
            await Promise.race([new Promise<void>((resolve) => others.push(resolve)), turns(100)]);
            stored.push(
              temp.storage.run(async (tx) => {
                for (const say of said) await say(tx);
              }),
            );
            await stored.at(-1);
            return result;
          }
          const result = await temp.storage.run(work);
          for (const go of others) go();
          others = [];
          return result;
        },
      } as Storage;
      const plain = executionWorld(storage);
      const { clock } = plain;
      const world: World = {
        ...plain,
        clock: {
          now: () => clock.now(),
          monotonic: () => clock.monotonic() + ahead,
          sleep: (time, signal) => clock.sleep(time, signal),
        },
      };
      const list = oneStep(
        {
          run: (run) => {
            ahead += seconds(2);
            late = true;
            run.progress('nearly done', 99);
            return Promise.resolve(done('done'));
          },
        },
        { kind: 'stop' },
      );
      const record = operation('op-1', 1, { deadlineAt: Date.now() + seconds(60), timeLeft: seconds(60) });
      await temp.storage.run(async (tx) => {
        await tx.machines.insert({ ...machine(1), quarantine: null });
        await tx.journal.insert(record);
      });
      await new Execution(world, list, record).run();
      await turns(100);
      assert.equal(stored.length, 1, 'there was a progress');
      await stored[0];
      const { active, after, steps } = await temp.storage.run(async (tx) => ({
        active: await tx.journal.active(record.machineId),
        after: await tx.journal.find('op-1'),
        steps: await tx.journal.steps('op-1'),
      }));
      assert.deepEqual(
        [after?.state, active, steps.map(({ name, state }) => `${name} ${state}`)],
        ['done', null, ['only done']],
      );
    } finally {
      await temp.close();
    }
  });
});
