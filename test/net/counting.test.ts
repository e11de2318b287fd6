import assert from 'node:assert/strict';
import fc from 'fast-check';
import { milliseconds, minutes, seconds } from '../../plugin-api/index.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { FailureLimit } from '../../src/kernel/concurrency/failure-limit.ts';
import { RateLimit } from '../../src/kernel/concurrency/rate-limit.ts';
import { ByteBudget } from '../../src/kernel/net/byte-budget.ts';
import { peerOf } from '../../src/kernel/net/peer-address.ts';
import { jsonExcess } from '../../src/wire/json/json-limits.ts';

describe('failures are counted', () => {
  const options = { failures: 3, window: minutes(1), longest: minutes(5), sources: 4 };
  const fail = (limit: FailureLimit, source: string, times = 3): void => {
    for (let i = 0; i < times; i += 1) limit.fail(source);
  };

  it('and the wait doubles each time, up to the longest', async () => {
    const clock = new ManualClock();
    const limit = new FailureLimit(clock, options);
    const waits: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      fail(limit, 'a');
      waits.push(limit.wait('a'));
      await clock.advance(milliseconds(limit.wait('a')));
      assert.equal(limit.wait('a'), 0);
    }
    assert.deepEqual(waits, [60_000, 120_000, 240_000, 300_000, 300_000]);
  });

  it('and forgotten after a time without any', async () => {
    const clock = new ManualClock();
    const limit = new FailureLimit(clock, options);
    fail(limit, 'a');
    await clock.advance(minutes(7));
    fail(limit, 'a');
    assert.equal(limit.wait('a'), 60_000);
    fail(limit, 'b', 2);
    await clock.advance(minutes(1));
    fail(limit, 'b', 2);
    assert.equal(limit.wait('b'), 0, 'those of the window before do not count');
  });

  it('each source by itself, and never more sources than there is room for', () => {
    const limit = new FailureLimit(new ManualClock(), options);
    fail(limit, 'a');
    fail(limit, 'b', 1);
    assert.equal(limit.wait('b'), 0);
    for (const other of ['c', 'd', 'e', 'f']) limit.fail(other);
    assert.equal(limit.wait('a'), 0, 'forgotten: it failed longest ago');
  });
});

describe('requests are counted', () => {
  it('so many at once, and then so many a second', async () => {
    const clock = new ManualClock();
    const limit = new RateLimit(clock, { rate: 2, burst: 3 });
    const take = (): boolean => limit.take('a') === 0;
    assert.deepEqual([take(), take(), take(), take()], [true, true, true, false]);
    assert.equal(limit.take('b'), 0);
    assert.equal(limit.take('a'), 500);
    await clock.advance(seconds(1));
    assert.deepEqual([take(), take(), take()], [true, true, false]);
  });

  it('never more of them than burst and rate allow, whenever they come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(400), { minLength: 1, maxLength: 60 }), async (pauses) => {
        const clock = new ManualClock();
        const limit = new RateLimit(clock, { rate: 5, burst: 4 });
        let taken = 0;
        for (const pause of pauses) {
          await clock.advance(milliseconds(pause));
          if (limit.take('a') === 0) taken += 1;
          assert.ok(taken <= 4 + (clock.monotonic() * 5) / 1_000 + 1e-6);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('without a limit at a rate of 0', () => {
    const limit = new RateLimit(new ManualClock(), { rate: 0, burst: 1 });
    for (let i = 0; i < 10; i += 1) assert.equal(limit.take('a'), 0);
  });
});

it('bytes are taken as long as there are some, and given back', () => {
  const budget = new ByteBudget(10);
  assert.deepEqual([budget.take(6), budget.take(5), budget.take(4)], [true, false, true]);
  budget.give(6);
  assert.deepEqual([budget.taken, budget.take(6), budget.take(1)], [4, true, false]);
});

it('peers are counted by IPv4 address, or by the /64 of IPv6', () => {
  for (const [address, peer] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:1:aaaa::1', '2001:db8:0:1::/64'],
    ['2001:DB8:0:1::2', '2001:db8:0:1::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    [undefined, 'unknown'],
  ] as const)
    assert.equal(peerOf(address), peer, address);
});

it('the depth and the values of JSON are what they are, whatever its texts hold', () => {
  const depthOf = (value: unknown): number =>
    typeof value === 'object' && value !== null
      ? 1 + Math.max(0, ...Object.values(value).map((one) => depthOf(one)))
      : 0;
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const depth = depthOf(JSON.parse(text));
      assert.equal(jsonExcess(text, { depth }), null);
      if (depth > 0) assert.equal(jsonExcess(text, { depth: depth - 1 }), 'depth');
    }),
  );
  assert.equal(jsonExcess('[1,2,3]', { depth: 9, values: 3 }), 'values');
  assert.equal(jsonExcess('["\\"[[[","\\\\"]', { depth: 1 }), null);
});
