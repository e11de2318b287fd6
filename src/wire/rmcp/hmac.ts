import { hash } from 'node:crypto';

export type HmacHash = 'sha1' | 'sha256';

/** Bytes that both hashes take at a time. */
const block = 64;
/** Longer than a datagram of IPMI; a longer message gets room of its own. */
const usualLength = 1_024;
const scratch = Buffer.alloc(block + usualLength);
/** The beginning of `scratch`, by length: making a view costs as much as hashing a block. */
const views: Buffer[] = [];

/**
 * HMAC (RFC 2104) of the parts, one behind the other: 20 bytes with SHA-1, 32 with SHA-256. It is made of two one-shot hashes of
 * OpenSSL's, because an `Hmac` object for each short message costs three times as much, and as much again when it is collected.
 * @param key at most 64 bytes. @throws RangeError for a longer one, which would have to be hashed first
 */
export function hmac(algorithm: HmacHash, key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.from(digest(algorithm, key, parts), 'latin1');
}

/** Writes the first `length` bytes of the code of `covered` into `out`. */
export function writeHmac(
  algorithm: HmacHash,
  key: Uint8Array,
  covered: Uint8Array,
  out: Buffer,
  at: number,
  length: number,
): void {
  out.write(digest(algorithm, key, [covered]), at, length, 'latin1');
}

/** As a binary string, which is cheaper than a buffer of its own. */
function digest(algorithm: HmacHash, key: Uint8Array, parts: readonly Uint8Array[]): string {
  if (key.length > block)
    throw new RangeError(`an HMAC key of ${key.length} bytes, at most ${block} expected`);
  let length = block;
  for (const part of parts) length += part.length;
  const bytes = length <= scratch.length ? view(length) : Buffer.allocUnsafe(length);
  writePad(bytes, key, 0x36);
  let at = block;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const inner = hash(algorithm, bytes, 'binary');
  const last = view(block + inner.length);
  writePad(last, key, 0x5c);
  last.write(inner, block, 'latin1');
  return hash(algorithm, last, 'binary');
}

function writePad(bytes: Buffer, key: Uint8Array, pad: number): void {
  for (let i = 0; i < key.length; i += 1) bytes[i] = key[i]! ^ pad;
  bytes.fill(pad, key.length, block);
}

function view(length: number): Buffer {
  return (views[length] ??= scratch.subarray(0, length));
}
