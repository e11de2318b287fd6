import assert from 'node:assert/strict';
import { minutes } from '../../../plugin-api/index.ts';
import { NonceMemory } from '../../../src/api/maas/nonce-memory.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';

describe('MAAS API: nonces in memory', () => {
  it('count once for each key, are forgotten after their time, and never become more than the limit', async () => {
    const clock = new ManualClock();
    const memory = new NonceMemory(clock, minutes(11), 100);
    assert.equal(memory.take('a', 'n'), true);
    assert.equal(memory.take('a', 'n'), false);
    assert.equal(memory.take('b', 'n'), true);
    await clock.advance(minutes(12));
    assert.equal(memory.take('a', 'n'), true);
    assert.equal(memory.size, 1);
    for (let n = 0; n < 1_000; n += 1) memory.take('a', String(n));
    assert.equal(memory.size, 100);
    assert.equal(memory.take('a', '999'), false);
  });
});
