import { MalformedPacket, requireLength } from './malformed-packet.ts';

/** Authentication type byte that marks an RMCP+ (IPMI 2.0) packet. */
export const authTypeRmcpPlus = 0x06;

/** RMCP+ payload types (IPMI 2.0, table 13-16). */
export const payloadType = {
  ipmi: 0x00,
  sol: 0x01,
  openSessionRequest: 0x10,
  openSessionResponse: 0x11,
  rakp1: 0x12,
  rakp2: 0x13,
  rakp3: 0x14,
  rakp4: 0x15,
} as const;

export interface RmcpPlusPacket {
  readonly payloadType: number;
  readonly encrypted: boolean;
  readonly authenticated: boolean;
  /** The receiver's session id; 0 outside a session. */
  readonly sessionId: number;
  /** 0 outside a session, else 1 and up. */
  readonly sequence: number;
  /** As it stands on the wire: IV and ciphertext when encrypted. */
  readonly payload: Buffer;
}

export const rmcpPlusHeaderLength = 12;

const oemExplicit = 0x02;

/** Header and payload, without the trailer that an authenticated packet gets (see `sealed-packet.ts`). */
export function encodeRmcpPlus(packet: RmcpPlusPacket): Buffer {
  // From the pool: every byte is written below.
  const bytes = Buffer.allocUnsafe(rmcpPlusHeaderLength + packet.payload.length);
  const type = packet.payloadType | (packet.encrypted ? 0x80 : 0) | (packet.authenticated ? 0x40 : 0);
  writeRmcpPlusHeader(bytes, 0, type, packet.sessionId, packet.sequence, packet.payload.length);
  bytes.set(packet.payload, rmcpPlusHeaderLength);
  return bytes;
}

/** Writes the header at `at`. `type`: the payload type with its two flags, 80h = encrypted, 40h = authenticated. */
export function writeRmcpPlusHeader(
  bytes: Buffer,
  at: number,
  type: number,
  sessionId: number,
  sequence: number,
  payloadLength: number,
): void {
  bytes[at] = authTypeRmcpPlus;
  bytes[at + 1] = type;
  bytes.writeUInt32LE(sessionId, at + 2);
  bytes.writeUInt32LE(sequence, at + 6);
  bytes.writeUInt16LE(payloadLength, at + 10);
}

/** A session set-up message, or an IPMI message outside any session. */
export function encodeUnsealed(type: number, payload: Buffer): Buffer {
  return encodeRmcpPlus({
    payloadType: type,
    encrypted: false,
    authenticated: false,
    sessionId: 0,
    sequence: 0,
    payload,
  });
}

/** Reads header and payload; what follows the payload (the trailer) is not looked at. @throws MalformedPacket */
export function decodeRmcpPlus(body: Buffer): RmcpPlusPacket {
  requireLength(body, rmcpPlusHeaderLength, 'RMCP+ header');
  if (body[0] !== authTypeRmcpPlus) throw new MalformedPacket(`authentication type ${body[0]}`);
  const type = body[1]! & 0x3f;
  // OEM explicit payloads carry six more header bytes; we neither send nor understand them.
  if (type === oemExplicit) throw new MalformedPacket('an OEM payload');
  const length = body.readUInt16LE(10);
  requireLength(body, rmcpPlusHeaderLength + length, 'RMCP+ payload');
  return {
    payloadType: type,
    encrypted: (body[1]! & 0x80) !== 0,
    authenticated: (body[1]! & 0x40) !== 0,
    sessionId: body.readUInt32LE(2),
    sequence: body.readUInt32LE(6),
    payload: body.subarray(rmcpPlusHeaderLength, rmcpPlusHeaderLength + length),
  };
}
