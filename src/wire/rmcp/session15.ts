import { MalformedPacket, requireLength } from './malformed-packet.ts';

/** Authentication type byte of an IPMI 1.5 packet without authentication. */
const authTypeNone = 0x00;

/**
 * The IPMI 1.5 session header around a message sent outside any session (auth type none, id and sequence 0): all that a
 * 2.0 client still needs of 1.5, for Get Channel Authentication Capabilities (IPMI 2.0, section 13.6).
 */
export function encodeSession15(message: Buffer): Buffer {
  const header = Buffer.alloc(10);
  header[0] = authTypeNone;
  header[9] = message.length;
  return Buffer.concat([header, message]);
}

/** @returns the message. @throws MalformedPacket when the packet belongs to a 1.5 session or is cut */
export function decodeSession15(body: Buffer): Buffer {
  requireLength(body, 10, 'IPMI 1.5 header');
  if (body[0] !== authTypeNone || body.readUInt32LE(1) !== 0 || body.readUInt32LE(5) !== 0)
    throw new MalformedPacket('an IPMI 1.5 session packet');
  requireLength(body, 10 + body[9]!, 'IPMI 1.5 message');
  return body.subarray(10, 10 + body[9]!);
}
