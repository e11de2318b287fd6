import assert from 'node:assert/strict';
import { DeviceError, milliseconds, seconds } from '../../plugin-api/index.ts';
import { Execution } from '../../src/operations/journal/execution.ts';
import { done } from '../../src/operations/journal/step.ts';
import type { World } from '../../src/operations/world.ts';
import { machine, operation } from '../store/samples.ts';
import { executionWorld, oneStep } from '../support/execution-world.ts';
import { tempStorage } from '../support/temp-storage.ts';

// A Stop during a Start had each undo tried five times at once, without a pause: a BMC that was busy for a second put the machine
// into quarantine.
it('the undo of a cancelled operation waits before it tries again', async () => {
  const temp = await tempStorage();
  try {
    const plain = executionWorld(temp.storage);
    const pauses: number[] = [];
    const { clock } = plain;
    const world: World = {
      ...plain,
      timings: { ...plain.timings, retryDelay: milliseconds(10) },
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        sleep: async (time, signal) => {
          await clock.sleep(time, signal);
          pauses.push(time);
        },
      },
    };
    let tries = 0;
    const list = oneStep(
      {
        interruptible: true,
        run: async (run) => {
          execution.cancel({ requester: record.requester, at: 1 });
          await run.pause(seconds(60));
          return done('done');
        },
        undo: {
          run: () => {
            tries += 1;
            if (tries < 3) throw new DeviceError({ code: 'power.unreachable', what: 'the BMC is busy' });
            return Promise.resolve(done('off'));
          },
        },
      },
      { cancellable: true, onFailure: 'undo' },
    );
    const record = operation('op-1', 1, { deadlineAt: Date.now() + seconds(60), timeLeft: seconds(60) });
    await temp.storage.run(async (tx) => {
      await tx.machines.insert({ ...machine(1), quarantine: null });
      await tx.journal.insert(record);
    });
    const execution = new Execution(world, list, record);
    await execution.run();
    const after = await temp.storage.run((tx) => tx.journal.find('op-1'));
    assert.deepEqual([after?.state, after?.undoError, tries], ['cancelled', null, 3]);
    assert.deepEqual(
      pauses.filter((pause) => pause < 1_000),
      [10, 20],
    );
  } finally {
    await temp.close();
  }
});
