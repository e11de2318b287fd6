import assert from 'node:assert/strict';
import { seconds } from '../../plugin-api/index.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { Execution } from '../../src/operations/journal/execution.ts';
import { done } from '../../src/operations/journal/step.ts';
import { machine, operation } from '../store/samples.ts';
import { executionWorld, oneStep } from '../support/execution-world.ts';
import { tempStorage } from '../support/temp-storage.ts';

const refuse = (what: string) => (): Promise<never> =>
  Promise.reject(new ServiceError({ code: 'machine.state', what }));

/** Each began anew for ever, without an answer. */
describe('an operation ends although the domain refuses', () => {
  for (const [what, ofOutcome, ofEnding, ends] of [
    ['the change of a step’s outcome', refuse('no outcome'), () => Promise.resolve(), 'undone'],
    ['the change of its ending too', refuse('no outcome'), refuse('no ending'), 'quarantined'],
  ] as const)
    it(what, async () => {
      const temp = await tempStorage();
      try {
        const world = executionWorld(temp.storage);
        const undone: string[] = [];
        const list = oneStep(
          {
            run: () => Promise.resolve({ ...done('done'), commit: ofOutcome }),
            undo: {
              run: () => {
                undone.push('only');
                return Promise.resolve(done('undone'));
              },
            },
          },
          { onFailure: 'undo', failed: { commit: ofEnding }, stuck: { commit: ofEnding } },
        );
        const record = operation('op-1', 1, { deadlineAt: Date.now() + seconds(60) });
        await temp.storage.run(async (tx) => {
          await tx.machines.insert({ ...machine(1), quarantine: null });
          await tx.journal.insert(record);
        });
        await new Execution(world, list, record).run();
        const { after, held } = await temp.storage.run(async (tx) => ({
          after: await tx.journal.find('op-1'),
          held: (await tx.machines.find(record.machineId))?.quarantine ?? null,
        }));
        assert.deepEqual([after?.state, after?.error?.what, undone], ['failed', 'no outcome', ['only']]);
        assert.notEqual(after?.endedAt, null);
        assert.equal(held?.code ?? null, ends === 'quarantined' ? 'machine.state' : null);
      } finally {
        await temp.close();
      }
    });
});
