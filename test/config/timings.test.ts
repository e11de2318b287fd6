import assert from 'node:assert/strict';
import fc from 'fast-check';
import { scaled, timingsSection, type Timings } from '../../src/config/section/timings.ts';

describe('timings', () => {
  const defaults = timingsSection.parse({});
  const times = (timings: Timings): readonly (readonly [string, number])[] =>
    Object.entries(timings).filter(([key]) => key !== 'scale');

  it('are divided by the scale, all of them, and stay above nothing', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 1e9, noNaN: true }), (scale) => {
        const result = scaled({ ...defaults, scale });
        assert.equal(result.scale, 1);
        for (const [key, time] of times(result)) {
          assert.equal(time, Math.max(1, Math.round(defaults[key as keyof Timings] / scale)), key);
        }
      }),
    );
  });

  it('are as written with a scale of 1, and scaling again changes nothing', () => {
    assert.deepEqual(scaled(defaults), defaults);
    const fast = scaled({ ...defaults, scale: 20 });
    assert.deepEqual(scaled(fast), fast);
    assert.equal(fast.powerOff, 3_000);
  });
});
