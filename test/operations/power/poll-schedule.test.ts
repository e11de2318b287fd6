import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PollSchedule } from '../../../src/operations/power/poll-schedule.ts';

describe('poll schedule', () => {
  it('hands out each thing once, not before its time and within a tick after it', () => {
    const change = fc.record({
      item: fc.integer({ min: 0, max: 5 }),
      at: fc.integer({ min: 0, max: 2_000 }),
      remove: fc.boolean(),
      pass: fc.integer({ min: 0, max: 300 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.array(change, { maxLength: 40 }), (tick, changes) => {
        let now = 0;
        const schedule = new PollSchedule<number>(tick, now);
        const wanted = new Map<number, number>();
        const take = (): void => {
          for (const item of schedule.due(now)) {
            const at = wanted.get(item);
            assert.ok(at !== undefined, `${item} was not wanted`);
            assert.ok(at <= now, `${item} came ${at - now} ms early`);
            wanted.delete(item);
          }
          for (const [item, at] of wanted) assert.ok(at + tick > now, `${item} was left out`);
        };
        for (const { item, at, remove, pass } of changes) {
          if (remove) {
            schedule.remove(item);
            wanted.delete(item);
          } else {
            // What is due already comes with the next tick.
            schedule.set(item, now + at);
            wanted.set(item, now + at);
          }
          now += pass;
          take();
        }
        now += 3_000;
        take();
        assert.equal(wanted.size, 0);
      }),
    );
  });
});
