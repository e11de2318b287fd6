import assert from 'node:assert/strict';
import { LoopTurns } from '../../../src/wire/cloudstack/loop-turns.ts';

describe('turns of the event loop', () => {
  /** Runs `count` tasks, each turn taking so long; gives the tasks of each turn. */
  async function turnsOf(count: number, milliseconds: number): Promise<number[][]> {
    let turn = 0;
    let counting = true;
    const tick = (): void => {
      turn += 1;
      if (counting) setImmediate(tick);
    };
    const turns = new LoopTurns(() => turn * milliseconds);
    const ran = new Map<number, number[]>();
    await new Promise<void>((resolve) => {
      setImmediate(tick);
      for (let task = 0; task < count; task += 1)
        turns.run(() => {
          ran.set(turn, [...(ran.get(turn) ?? []), task]);
          // What is asked for meanwhile comes behind those that wait.
          if (task === 0) turns.run(resolve);
        });
      assert.equal(ran.size, 0, 'never at once');
    });
    counting = false;
    return [...ran.values()];
  }

  it('runs tasks in the order of asking, one in each turn', async () => {
    assert.deepEqual(
      await turnsOf(20, 1),
      Array.from({ length: 20 }, (_, task) => [task]),
    );
  });

  it('runs more of them where a turn takes long', async () => {
    assert.deepEqual(await turnsOf(7, 35), [[0, 1, 2], [3, 4, 5], [6]]);
  });

  it('begins anew after everything was done', async () => {
    const turns = new LoopTurns();
    for (let i = 0; i < 3; i += 1) await new Promise<void>((resolve) => turns.run(resolve));
  });
});
