import assert from 'node:assert/strict';
import fc from 'fast-check';
import { rendezvous } from '../../../src/operations/instances/rendezvous.ts';

describe('rendezvous hashing', () => {
  const candidates = fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 6 });

  it('says the same to everybody, in whatever order they know each other', () => {
    fc.assert(
      fc.property(fc.string(), candidates, (name, all) => {
        const found = rendezvous(name, all);
        assert.ok(all.includes(found!));
        assert.equal(rendezvous(name, all.toReversed()), found);
      }),
    );
  });

  it('moves only what the one that goes had', () => {
    fc.assert(
      fc.property(fc.string(), candidates, fc.nat(), (name, all, n) => {
        const gone = all[n % all.length];
        const before = rendezvous(name, all);
        const after = rendezvous(
          name,
          all.filter((one) => one !== gone),
        );
        if (before !== gone) assert.equal(after, before);
      }),
    );
  });

  it('shares evenly', () => {
    const shares = new Map<string, number>();
    for (let i = 0; i < 3_000; i += 1) {
      const owner = rendezvous(`machine:${i}`, ['a', 'b', 'c'])!;
      shares.set(owner, (shares.get(owner) ?? 0) + 1);
    }
    for (const share of shares.values()) assert.ok(share > 850 && share < 1_150, `${share} of 3000`);
    assert.equal(rendezvous('machine:1', []), null);
  });
});
