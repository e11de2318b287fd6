import { decryptPayload, encryptedLength, writeEncrypted } from './aes-payload.ts';
import { MalformedPacket } from './malformed-packet.ts';
import { rmcpClass, rmcpHeaderLength, writeRmcpHeader } from './rmcp-header.ts';
import { decodeRmcpPlus, rmcpPlusHeaderLength, writeRmcpPlusHeader } from './rmcp-plus.ts';
import { packetCode, sameCode, writePacketCode, type SessionKeys } from './session-keys.ts';

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

/** Flags of the payload type byte: encrypted and authenticated. */
const sealed = 0xc0;

/** Encrypts and authenticates: the body behind the RMCP header. `iv`: 16 random bytes, never used twice. */
export function sealPacket(keys: SessionKeys, packet: SessionPacket, iv: Buffer): Buffer {
  return seal(keys, packet, iv, 0);
}

/** The same with the RMCP header before it: a whole datagram. */
export function sealDatagram(keys: SessionKeys, packet: SessionPacket, iv: Buffer): Buffer {
  const bytes = seal(keys, packet, iv, rmcpHeaderLength);
  writeRmcpHeader(bytes, rmcpClass.ipmi);
  return bytes;
}

/** Verifies the authentication code before anything else is looked at, then decrypts. @throws MalformedPacket */
export function unsealPacket(keys: SessionKeys, body: Buffer): SessionPacket {
  const codeLength = keys.suite.checkLength;
  if (body.length < rmcpPlusHeaderLength + 2 + codeLength)
    throw new MalformedPacket('a packet without trailer');
  const end = body.length - codeLength;
  const covered = body.subarray(0, end);
  if (!sameCode(packetCode(keys, covered), body.subarray(end)))
    throw new MalformedPacket('wrong authentication code');
  const packet = decodeRmcpPlus(covered);
  if (!packet.encrypted || !packet.authenticated) throw new MalformedPacket('an unprotected session packet');
  if (covered[end - 1] !== nextHeader) throw new MalformedPacket('wrong next header');
  if (rmcpPlusHeaderLength + packet.payload.length + covered[end - 2]! + 2 !== end)
    throw new MalformedPacket('wrong integrity pad');
  const { payloadType, sessionId, sequence } = packet;
  return { payloadType, sessionId, sequence, payload: decryptPayload(keys.aesKey, packet.payload) };
}

/** Leaves `room` bytes free before the packet. Everything is written where it is sent from. */
function seal(keys: SessionKeys, packet: SessionPacket, iv: Buffer, room: number): Buffer {
  const payloadLength = encryptedLength(packet.payload.length);
  const headLength = rmcpPlusHeaderLength + payloadLength;
  // From the authentication type to "next header" the length is a multiple of 4, filled with FF.
  const padLength = (4 - ((headLength + 2) % 4)) % 4;
  const end = room + headLength + padLength + 2;
  // From the pool: every byte is written, below and by the caller.
  const bytes = Buffer.allocUnsafe(end + keys.suite.checkLength);
  const type = packet.payloadType | sealed;
  writeRmcpPlusHeader(bytes, room, type, packet.sessionId, packet.sequence, payloadLength);
  writeEncrypted(bytes, room + rmcpPlusHeaderLength, keys.aesKey, packet.payload, iv);
  for (let i = room + headLength; i < end - 2; i += 1) bytes[i] = 0xff;
  bytes[end - 2] = padLength;
  bytes[end - 1] = nextHeader;
  writePacketCode(keys, bytes.subarray(room, end), bytes, end);
  return bytes;
}
