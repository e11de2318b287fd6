import { decryptPayload, encryptPayload } from './aes-payload.ts';
import { MalformedPacket } from './malformed-packet.ts';
import { decodeRmcpPlus, rmcpPlusHeaderLength, writeRmcpPlusHeader } from './rmcp-plus.ts';
import { packetCode, sameCode, type SessionKeys } from './session-keys.ts';

/** A packet inside a session, in clear. */
export interface SessionPacket {
  readonly payloadType: number;
  /** The receiver's session id. */
  readonly sessionId: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

/** Value of the trailer's "next header" field (IPMI 2.0, table 13-8). */
const nextHeader = 0x07;

/** Encrypts and authenticates: the body behind the RMCP header. `iv`: 16 random bytes, never used twice. */
export function sealPacket(keys: SessionKeys, packet: SessionPacket, iv: Buffer): Buffer {
  const payload = encryptPayload(keys.aesKey, packet.payload, iv);
  const headLength = rmcpPlusHeaderLength + payload.length;
  // From the authentication type to "next header" the length is a multiple of 4, filled with FF.
  const padLength = (4 - ((headLength + 2) % 4)) % 4;
  const covered = headLength + padLength + 2;
  // From the pool: every byte is written below.
  const bytes = Buffer.allocUnsafe(covered + keys.suite.checkLength);
  writeRmcpPlusHeader(bytes, { ...packet, encrypted: true, authenticated: true, payload });
  payload.copy(bytes, rmcpPlusHeaderLength);
  bytes.fill(0xff, headLength, headLength + padLength);
  bytes[covered - 2] = padLength;
  bytes[covered - 1] = nextHeader;
  packetCode(keys, bytes.subarray(0, covered)).copy(bytes, covered);
  return bytes;
}

/** Verifies the authentication code before anything else is looked at, then decrypts. @throws MalformedPacket */
export function unsealPacket(keys: SessionKeys, body: Buffer): SessionPacket {
  const codeLength = keys.suite.checkLength;
  if (body.length < rmcpPlusHeaderLength + 2 + codeLength)
    throw new MalformedPacket('a packet without trailer');
  const covered = body.subarray(0, body.length - codeLength);
  if (!sameCode(packetCode(keys, covered), body.subarray(body.length - codeLength)))
    throw new MalformedPacket('wrong authentication code');
  const packet = decodeRmcpPlus(covered);
  if (!packet.encrypted || !packet.authenticated) throw new MalformedPacket('an unprotected session packet');
  if (covered.at(-1) !== nextHeader) throw new MalformedPacket('wrong next header');
  if (rmcpPlusHeaderLength + packet.payload.length + covered.at(-2)! + 2 !== covered.length)
    throw new MalformedPacket('wrong integrity pad');
  return { ...packet, payload: decryptPayload(keys.aesKey, packet.payload) };
}
