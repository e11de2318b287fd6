import { randomBytes, randomInt } from 'node:crypto';

const systemIdAlphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A machine's system id: 6 of a-z0-9, as MAAS clients expect. */
export function newSystemId(): string {
  return Array.from({ length: 6 }, () => systemIdAlphabet[randomInt(systemIdAlphabet.length)]).join('');
}

/** A unique id whose order is the order of making: 48 bits of time, then random, in hex with a short prefix (`op-...`). */
export function newSortableId(prefix: string, now: number): string {
  return `${prefix}-${now.toString(16).padStart(12, '0')}${randomBytes(6).toString('hex')}`;
}

/** An unguessable token of 256 bits, URL-safe. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}
