import { timingSafeEqual } from 'node:crypto';
import { AesKey } from './aes-payload.ts';
import type { CipherSuite } from './cipher-suite.ts';
import { hmac, writeHmac } from './hmac.ts';

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
  readonly aesKey: AesKey;
}

const ones = Buffer.alloc(20, 0x01);
const twos = Buffer.alloc(20, 0x02);

/** What RAKP 2 must carry: proof that the BMC knows the password. */
export function rakp2Code(secrets: RakpSecrets): Buffer {
  const { suite, password, clientId, bmcId, clientRandom, bmcRandom, guid } = secrets;
  return hmac(suite.hash, password, id(clientId), id(bmcId), clientRandom, bmcRandom, guid, name(secrets));
}

/** What RAKP 3 must carry: proof that the client knows the password. */
export function rakp3Code(secrets: RakpSecrets): Buffer {
  const { suite, password, clientId, bmcRandom } = secrets;
  return hmac(suite.hash, password, bmcRandom, id(clientId), name(secrets));
}

/** What RAKP 4 must carry: proof that both ends have the same keys. */
export function rakp4Check(secrets: RakpSecrets, keys: SessionKeys): Buffer {
  const { suite, bmcId, clientRandom, guid } = secrets;
  return hmac(suite.hash, keys.sik, clientRandom, id(bmcId), guid).subarray(0, suite.checkLength);
}

export function deriveSessionKeys(secrets: RakpSecrets): SessionKeys {
  const { suite, clientRandom, bmcRandom } = secrets;
  const key = secrets.kg && secrets.kg.length > 0 ? secrets.kg : secrets.password;
  const sik = hmac(suite.hash, key, clientRandom, bmcRandom, name(secrets));
  // The constants are 20 bytes long in both suites.
  const k1 = hmac(suite.hash, sik, ones);
  const k2 = hmac(suite.hash, sik, twos);
  return { suite, sik, k1, aesKey: new AesKey(k2.subarray(0, 16)) };
}

/** A packet's authentication code. */
export function packetCode(keys: SessionKeys, covered: Buffer): Buffer {
  return hmac(keys.suite.hash, keys.k1, covered).subarray(0, keys.suite.checkLength);
}

/** Writes a packet's authentication code at `at`. */
export function writePacketCode(keys: SessionKeys, covered: Buffer, out: Buffer, at: number): void {
  writeHmac(keys.suite.hash, keys.k1, covered, out, at, keys.suite.checkLength);
}

/** Compares in constant time; different lengths are different. */
export function sameCode(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function id(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function name(secrets: RakpSecrets): Buffer {
  const bytes = Buffer.allocUnsafe(2 + secrets.username.length);
  bytes[0] = secrets.role;
  bytes[1] = secrets.username.length;
  bytes.set(secrets.username, 2);
  return bytes;
}
