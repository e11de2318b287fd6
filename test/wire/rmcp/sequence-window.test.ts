import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  bmcWindow,
  clientWindow,
  nextSequence,
  SequenceWindow,
} from '../../../src/wire/rmcp/sequence-window.ts';

describe('session sequence window', () => {
  it('never takes a number twice, and never 0', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(bmcWindow, clientWindow),
        fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 200 }),
        (size, numbers) => {
          const window = new SequenceWindow(size);
          const taken = numbers.filter((number) => window.accept(number));
          assert.equal(new Set(taken).size, taken.length);
          assert.ok(!taken.includes(0));
        },
      ),
    );
  });

  it('takes every number of a sequence whose packets overtake each other by less than the window', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 100 }), (delays) => {
        const arrivals = delays
          .map((delay, index) => ({ number: index + 1, at: index + delay }))
          .sort((a, b) => a.at - b.at);
        for (const size of [bmcWindow, clientWindow]) {
          const window = new SequenceWindow(size);
          assert.ok(arrivals.every(({ number }) => window.accept(number)));
        }
      }),
    );
  });

  it('has the width of a BMC: 16 ahead and 15 behind', () => {
    const window = new SequenceWindow(bmcWindow);
    assert.ok(!window.accept(17));
    assert.ok(window.accept(16));
    assert.ok(window.accept(32));
    assert.ok(window.accept(17));
    assert.ok(!window.accept(16));
    assert.ok(!window.accept(15));
    assert.ok(!window.accept(49));
  });

  it('goes from the last number to 1', () => {
    assert.equal(nextSequence(0), 1);
    assert.equal(nextSequence(0xffffffff), 1);
    const window = new SequenceWindow(clientWindow);
    assert.ok(window.accept(0x7fffffff));
    assert.ok(window.accept(0xfffffffe));
    assert.ok(window.accept(0xffffffff));
    assert.ok(window.accept(1));
    assert.ok(!window.accept(0xffffffff));
  });
});
