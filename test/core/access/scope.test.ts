import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseScope, scopeTerm, type MachinePlace } from '../../../src/core/access/scope.ts';
import { CodedError } from '../../../plugin-api/index.ts';

const machine: MachinePlace = {
  id: 'abc123',
  hostname: 'node-1',
  site: 'berlin',
  pool: 'gpu',
  cloudPlace: { cloud: 'cloud-a' },
};

describe('scope', () => {
  it('* is everything, also what has no place in any cloud', () => {
    assert.equal(parseScope('*').whole, true);
    assert.ok(parseScope('*').includes({ ...machine, cloudPlace: null }));
  });

  const terms: readonly (readonly [string, boolean])[] = [
    ['site:berlin', true],
    ['site:paris', false],
    ['pool:gpu', true],
    ['pool:berlin', false],
    ['cloud:cloud-a', true],
    ['cloud:cloud-b', false],
    ['machine:node-1', true],
    ['machine:abc123', true],
    ['machine:node-2', false],
    // A bare name is a pool or a cloud, never a site.
    ['gpu', true],
    ['cloud-a', true],
    ['berlin', false],
    ['pool:cpu,site:berlin', true],
    ['pool:cpu, machine:node-2', false],
  ];
  for (const [scope, inside] of terms)
    it(`${scope} ${inside ? 'has' : 'has not'} the machine`, () => {
      assert.equal(parseScope(scope).includes(machine), inside);
      assert.equal(parseScope(scope).whole, false);
    });

  it('a machine in no cloud is in no scope of a cloud', () => {
    assert.equal(parseScope('cloud:cloud-a').includes({ ...machine, cloudPlace: null }), false);
  });

  for (const bad of [
    '',
    ' ',
    ',',
    'pool:',
    ':gpu',
    'pool:gpu,',
    'rack:7',
    'pool:a b',
    'pool:*',
    '*,pool:gpu',
    'pool:%ZZ',
  ])
    it(`"${bad}" is none`, () => {
      assert.throws(
        () => parseScope(bad),
        (error) => error instanceof CodedError && error.code === 'request.invalid',
      );
    });

  it('a term for any name has exactly the machines of that name', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (one, other) => {
        // Half a surrogate pair cannot be written in a URL, nor stored.
        fc.pre([one, other].every((text) => Buffer.from(text).toString() === text));
        const scope = parseScope(scopeTerm('pool', one));
        assert.equal(scope.whole, false);
        assert.equal(scope.includes({ ...machine, pool: one }), true);
        assert.equal(scope.includes({ ...machine, pool: other }), one === other);
      }),
    );
  });
});
