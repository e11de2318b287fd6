import { createCipheriv, createDecipheriv, type Cipher, type Decipher } from 'node:crypto';
import { MalformedPacket } from './malformed-packet.ts';

const block = 16;

/**
 * A session's AES key with its block cipher. The chaining is done here, because every packet has an IV of its own, and making
 * a cipher takes five times as long as using it.
 */
export class AesKey {
  readonly #bytes: Buffer;
  #encrypting: Cipher | null = null;
  #decrypting: Decipher | null = null;

  /** 16 bytes. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  encryptBlock(bytes: Buffer): Buffer {
    this.#encrypting ??= createCipheriv('aes-128-ecb', this.#bytes, null).setAutoPadding(false);
    return this.#encrypting.update(bytes);
  }

  decryptBlocks(bytes: Buffer): Buffer {
    this.#decrypting ??= createDecipheriv('aes-128-ecb', this.#bytes, null).setAutoPadding(false);
    return this.#decrypting.update(bytes);
  }
}

/** Bytes that a message of this length has when encrypted: IV, message, pad, pad length. */
export function encryptedLength(messageLength: number): number {
  return block + Math.ceil((messageLength + 1) / block) * block;
}

/**
 * AES-CBC-128 payload (IPMI 2.0, section 13.29): IV, then the encrypted message with pad bytes 1, 2, 3, ... and the pad
 * length, which is not PKCS padding.
 */
export function encryptPayload(key: AesKey, message: Buffer, iv: Buffer): Buffer {
  // From the pool: every byte is written below.
  const out = Buffer.allocUnsafe(encryptedLength(message.length));
  writeEncrypted(out, 0, key, message, iv);
  return out;
}

/** Writes the payload at `at`: {@link encryptedLength} bytes. */
export function writeEncrypted(out: Buffer, at: number, key: AesKey, message: Buffer, iv: Buffer): void {
  const first = at + block;
  const padAt = first + message.length;
  const last = at + encryptedLength(message.length) - 1;
  out.set(iv, at);
  out.set(message, first);
  for (let i = padAt; i < last; i += 1) out[i] = i - padAt + 1;
  out[last] = last - padAt;
  for (let here = first; here < last; here += block) {
    xorBlock(out, here, out, here - block);
    out.set(key.encryptBlock(out.subarray(here, here + block)), here);
  }
}

/** @throws MalformedPacket for a wrong length or wrong pad bytes */
export function decryptPayload(key: AesKey, payload: Buffer): Buffer {
  if (payload.length < 2 * block || payload.length % block !== 0)
    throw new MalformedPacket(`an encrypted payload of ${payload.length} bytes`);
  const plain = key.decryptBlocks(payload.subarray(block));
  for (let at = 0; at < plain.length; at += block) xorBlock(plain, at, payload, at);
  const padLength = plain.at(-1)!;
  const end = plain.length - 1 - padLength;
  if (padLength >= block) throw new MalformedPacket(`a pad of ${padLength} bytes`);
  for (let i = 0; i < padLength; i += 1)
    if (plain[end + i] !== i + 1) throw new MalformedPacket('wrong pad bytes');
  return plain.subarray(0, end);
}

function xorBlock(bytes: Buffer, at: number, other: Buffer, from: number): void {
  for (let i = 0; i < block; i += 1) bytes[at + i]! ^= other[from + i]!;
}
