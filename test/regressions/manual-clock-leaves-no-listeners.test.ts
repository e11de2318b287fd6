import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { seconds } from '../../plugin-api/index.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';

describe('regression: the manual clock', () => {
  it('takes its listener off a signal when a sleep is over', async () => {
    const clock = new ManualClock();
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i += 1) {
      const slept = clock.sleep(seconds(1), signal);
      await clock.advance(seconds(1));
      await slept;
    }
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});
