import { randomFillSync } from 'node:crypto';

/** Enough for some hundred packets: asking the system for every IV takes longer than encrypting with it. */
const size = 4_096;
let pool = Buffer.alloc(0);
let used = 0;

/** Random bytes for IVs, session ids and nonces; at most 64. No byte is handed out twice. */
export function randomFromPool(length: number): Buffer {
  if (used + length > pool.length) {
    pool = randomFillSync(Buffer.allocUnsafeSlow(size));
    used = 0;
  }
  used += length;
  return pool.subarray(used - length, used);
}
