import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CipherSuite } from './cipher-suite.ts';

/** Everything that the RAKP hashes are made of (IPMI 2.0, sections 13.31 and 13.32). */
export interface RakpSecrets {
  readonly suite: CipherSuite;
  readonly clientId: number;
  readonly bmcId: number;
  readonly clientRandom: Buffer;
  readonly bmcRandom: Buffer;
  readonly guid: Buffer;
  /** The role byte exactly as sent in RAKP 1. */
  readonly role: number;
  readonly username: Buffer;
  /** At most {@link maxPasswordBytes} bytes; HMAC pads with zeros, so no padding is needed. */
  readonly password: Buffer;
  /** BMC key; null or empty = the password takes its place. */
  readonly kg: Buffer | null;
}

/** Limit of the protocol for RMCP+; some BMCs keep only 16. */
export const maxPasswordBytes = 20;

export interface SessionKeys {
  readonly suite: CipherSuite;
  readonly sik: Buffer;
  /** Key of the packet authentication codes. */
  readonly k1: Buffer;
  /** 16 bytes. */
  readonly aesKey: Buffer;
}

/** What RAKP 2 must carry: proof that the BMC knows the password. */
export function rakp2Code(secrets: RakpSecrets): Buffer {
  const { clientId, bmcId, clientRandom, bmcRandom, guid } = secrets;
  return hmac(secrets.suite, secrets.password, [
    id(clientId),
    id(bmcId),
    clientRandom,
    bmcRandom,
    guid,
    name(secrets),
  ]);
}

/** What RAKP 3 must carry: proof that the client knows the password. */
export function rakp3Code(secrets: RakpSecrets): Buffer {
  return hmac(secrets.suite, secrets.password, [secrets.bmcRandom, id(secrets.clientId), name(secrets)]);
}

/** What RAKP 4 must carry: proof that both ends have the same keys. */
export function rakp4Check(secrets: RakpSecrets, keys: SessionKeys): Buffer {
  const check = hmac(secrets.suite, keys.sik, [secrets.clientRandom, id(secrets.bmcId), secrets.guid]);
  return check.subarray(0, secrets.suite.checkLength);
}

export function deriveSessionKeys(secrets: RakpSecrets): SessionKeys {
  const { suite, clientRandom, bmcRandom } = secrets;
  const key = secrets.kg && secrets.kg.length > 0 ? secrets.kg : secrets.password;
  const sik = hmac(suite, key, [clientRandom, bmcRandom, name(secrets)]);
  // The constants are 20 bytes long in both suites.
  const k1 = hmac(suite, sik, [Buffer.alloc(20, 0x01)]);
  const k2 = hmac(suite, sik, [Buffer.alloc(20, 0x02)]);
  return { suite, sik, k1, aesKey: k2.subarray(0, 16) };
}

/** A packet's authentication code. */
export function packetCode(keys: SessionKeys, bytes: Buffer): Buffer {
  return hmac(keys.suite, keys.k1, [bytes]).subarray(0, keys.suite.checkLength);
}

/** Compares in constant time; different lengths are different. */
export function sameCode(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function hmac(suite: CipherSuite, key: Buffer, parts: readonly Buffer[]): Buffer {
  const mac = createHmac(suite.hash, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function id(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function name(secrets: RakpSecrets): Buffer {
  return Buffer.concat([Buffer.from([secrets.role, secrets.username.length]), secrets.username]);
}
