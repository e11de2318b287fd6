import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { hmac, writeHmac } from '../../../src/wire/rmcp/hmac.ts';

const algorithm = fc.constantFrom('sha1', 'sha256');
const keyBytes = fc.uint8Array({ maxLength: 64 });
/** Also longer than any datagram. */
const bytes = fc.uint8Array({ maxLength: 3_000, size: 'max' });

const openssl = (hash: string, key: Uint8Array, message: Uint8Array): Buffer =>
  createHmac(hash, key).update(message).digest();

describe('HMAC', () => {
  it("is OpenSSL's own of the parts, whatever was asked before and is asked after", () => {
    fc.assert(
      fc.property(
        algorithm,
        keyBytes,
        fc.array(bytes, { maxLength: 4 }),
        bytes,
        (hash, key, parts, other) => {
          const code = hmac(hash, key, ...parts);
          assert.deepEqual(
            hmac(hash, other.subarray(0, 64), other),
            openssl(hash, other.subarray(0, 64), other),
          );
          assert.deepEqual(hmac(hash, key, other), openssl(hash, key, other));
          assert.deepEqual(code, openssl(hash, key, Buffer.concat(parts)));
        },
      ),
    );
  });

  it('writes the beginning of a code where it belongs, and nothing beside it', () => {
    fc.assert(
      fc.property(
        algorithm,
        keyBytes,
        bytes,
        fc.integer({ min: 1, max: 20 }),
        (hash, key, message, length) => {
          const out = Buffer.alloc(length + 10, 0xaa);
          writeHmac(hash, key, message, out, 5, length);
          assert.deepEqual(out.subarray(5, 5 + length), openssl(hash, key, message).subarray(0, length));
          assert.ok([...out.subarray(0, 5), ...out.subarray(5 + length)].every((byte) => byte === 0xaa));
        },
      ),
    );
  });

  it('refuses a key that is longer than a block', () => {
    assert.throws(() => hmac('sha256', Buffer.alloc(65)), RangeError);
  });
});
