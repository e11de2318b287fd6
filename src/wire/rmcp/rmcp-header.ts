import { MalformedPacket, requireLength } from './malformed-packet.ts';

/** Message classes of RMCP that a BMC speaks (ASF 2.0, section 3.2.2.2). */
export const rmcpClass = { asf: 6, ipmi: 7 } as const;

export interface RmcpDatagram {
  readonly messageClass: number;
  /** Everything behind the four header bytes. */
  readonly body: Buffer;
}

/** One UDP datagram: version 6, reserved, sequence FF (no RMCP acknowledgement wanted), class, body. */
export function encodeRmcp(datagram: RmcpDatagram): Buffer {
  // From the pool: every byte is written below.
  const bytes = Buffer.allocUnsafe(4 + datagram.body.length);
  bytes[0] = 0x06;
  bytes[1] = 0;
  bytes[2] = 0xff;
  bytes[3] = datagram.messageClass;
  datagram.body.copy(bytes, 4);
  return bytes;
}

/** @throws MalformedPacket when this is not RMCP version 6 */
export function decodeRmcp(bytes: Buffer): RmcpDatagram {
  requireLength(bytes, 4, 'RMCP header');
  if (bytes[0] !== 0x06) throw new MalformedPacket(`RMCP version ${bytes[0]}`);
  return { messageClass: bytes[3]! & 0x1f, body: bytes.subarray(4) };
}
