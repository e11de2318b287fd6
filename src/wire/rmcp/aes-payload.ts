import { createCipheriv, createDecipheriv } from 'node:crypto';
import { MalformedPacket } from './malformed-packet.ts';

const block = 16;

/**
 * AES-CBC-128 payload (IPMI 2.0, section 13.29): IV, then the encrypted message with pad bytes 1, 2, 3, ... and the pad
 * length, which is not PKCS padding.
 */
export function encryptPayload(key: Buffer, message: Buffer, iv: Buffer): Buffer {
  const padLength = (block - ((message.length + 1) % block)) % block;
  const pad = Buffer.from(Array.from({ length: padLength }, (_, i) => i + 1));
  const cipher = createCipheriv('aes-128-cbc', key, iv).setAutoPadding(false);
  return Buffer.concat([
    iv,
    cipher.update(Buffer.concat([message, pad, Buffer.from([padLength])])),
    cipher.final(),
  ]);
}

/** @throws MalformedPacket for a wrong length or wrong pad bytes */
export function decryptPayload(key: Buffer, payload: Buffer): Buffer {
  if (payload.length < 2 * block || payload.length % block !== 0)
    throw new MalformedPacket(`an encrypted payload of ${payload.length} bytes`);
  const decipher = createDecipheriv('aes-128-cbc', key, payload.subarray(0, block)).setAutoPadding(false);
  const plain = Buffer.concat([decipher.update(payload.subarray(block)), decipher.final()]);
  const padLength = plain.at(-1)!;
  const end = plain.length - 1 - padLength;
  if (padLength >= block) throw new MalformedPacket(`a pad of ${padLength} bytes`);
  for (let i = 0; i < padLength; i += 1)
    if (plain[end + i] !== i + 1) throw new MalformedPacket('wrong pad bytes');
  return plain.subarray(0, end);
}
