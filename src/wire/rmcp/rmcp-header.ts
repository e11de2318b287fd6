import { MalformedPacket, requireLength } from './malformed-packet.ts';

/** Message classes of RMCP that a BMC speaks (ASF 2.0, section 3.2.2.2). */
export const rmcpClass = { asf: 6, ipmi: 7 } as const;

export const rmcpHeaderLength = 4;

export interface RmcpDatagram {
  readonly messageClass: number;
  /** Everything behind the four header bytes. */
  readonly body: Buffer;
}

/** One UDP datagram: version 6, reserved, sequence FF (no RMCP acknowledgement wanted), class, body. */
export function encodeRmcp(datagram: RmcpDatagram): Buffer {
  // From the pool: every byte is written below.
  const bytes = Buffer.allocUnsafe(rmcpHeaderLength + datagram.body.length);
  writeRmcpHeader(bytes, datagram.messageClass);
  bytes.set(datagram.body, rmcpHeaderLength);
  return bytes;
}

/** Writes the header at the beginning of `bytes`. */
export function writeRmcpHeader(bytes: Buffer, messageClass: number): void {
  bytes[0] = 0x06;
  bytes[1] = 0;
  bytes[2] = 0xff;
  bytes[3] = messageClass;
}

/** @throws MalformedPacket when this is not RMCP version 6 */
export function decodeRmcp(bytes: Buffer): RmcpDatagram {
  requireLength(bytes, rmcpHeaderLength, 'RMCP header');
  if (bytes[0] !== 0x06) throw new MalformedPacket(`RMCP version ${bytes[0]}`);
  return { messageClass: bytes[3]! & 0x1f, body: bytes.subarray(rmcpHeaderLength) };
}
