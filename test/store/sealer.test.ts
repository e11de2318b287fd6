import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { KeyRing } from '../../src/store/secrets/key-ring.ts';
import { Sealer } from '../../src/store/secrets/sealer.ts';

const place = { table: 'machine', row: 'abc123', field: 'bmc_password' };
const isSecretError = (error: unknown): boolean =>
  error instanceof ServiceError && error.code === 'store.secret';

describe('sealer', () => {
  const ring = new KeyRing([randomBytes(32)]);
  const sealer = new Sealer(ring);

  it('opens what it sealed, and never seals the same way twice', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const envelope = sealer.seal(text, place);
        assert.match(envelope, /^v1\.[0-9a-f]{16}\.[\w-]{16}\.[\w-]*\.[\w-]{22}$/);
        assert.equal(sealer.open(envelope, place), text);
        assert.notEqual(sealer.seal(text, place), envelope);
      }),
    );
  });

  it('opens a value only in the row and column it was sealed for', () => {
    const envelope = sealer.seal('secret', place);
    for (const other of [
      { ...place, table: 'switch' },
      { ...place, row: 'abc124' },
      { ...place, field: 'bmc_kg' },
      // The same letters, cut elsewhere.
      { table: 'machinea', row: 'bc123', field: 'bmc_password' },
    ])
      assert.throws(() => sealer.open(envelope, other), isSecretError);
  });

  it('opens nothing that was changed in any one character, shortened or lengthened', () => {
    const envelope = sealer.seal('the secret itself', place);
    fc.assert(
      fc.property(fc.nat(envelope.length - 1), fc.constantFrom(...Array.from('AZaz09-_.')), (at, letter) => {
        const changed = envelope.slice(0, at) + letter + envelope.slice(at + 1);
        fc.pre(changed !== envelope);
        // The last letters of a base64 group may differ in bits that carry nothing.
        fc.pre(!sameBytes(changed, envelope));
        assert.throws(() => sealer.open(changed, place), isSecretError);
      }),
    );
    for (const bad of ['', 'v1', envelope.slice(0, -8), `${envelope}.x`, envelope.replace('v1', 'v2')])
      assert.throws(() => sealer.open(bad, place), isSecretError);
  });

  it('opens what an older key of the ring sealed, and knows that it is not current', () => {
    const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
    const envelope = new Sealer(new KeyRing([oldKey])).seal('secret', place);
    const both = new Sealer(new KeyRing([newKey, oldKey]));
    assert.equal(both.open(envelope, place), 'secret');
    assert.equal(both.isCurrent(envelope), false);
    assert.equal(both.isCurrent(both.seal('secret', place)), true);
    assert.throws(() => new Sealer(new KeyRing([newKey])).open(envelope, place), isSecretError);
  });

  it('tells no secret in its errors', () => {
    const envelope = sealer.seal('the secret itself', place);
    assert.throws(
      () => sealer.open(envelope, { ...place, row: 'other' }),
      (error: Error) => !error.message.includes(envelope.split('.')[3]!) && !error.message.includes('itself'),
    );
  });
});

function sameBytes(a: string, b: string): boolean {
  const bytes = (text: string): string =>
    text
      .split('.')
      .map((part, i) => (i < 2 ? part : Buffer.from(part, 'base64url').toString('hex')))
      .join('.');
  return bytes(a) === bytes(b);
}
