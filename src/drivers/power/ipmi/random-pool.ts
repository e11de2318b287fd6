import { randomFillSync } from 'node:crypto';

/** Enough for some hundred packets: asking the system for every IV takes longer than encrypting with it. */
const size = 4_096;
const pool = Buffer.alloc(size);
let used = size;

/** Random bytes for IVs, session ids and nonces; at most 64. No byte is handed out twice. */
export function randomFromPool(length: number): Buffer {
  if (used + length > size) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = Buffer.from(pool.subarray(used, used + length));
  pool.fill(0, used, used + length);
  used += length;
  return bytes;
}
