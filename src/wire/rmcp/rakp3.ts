import { requireLength } from './malformed-packet.ts';

/** RAKP Message 3, client to BMC (IPMI 2.0, section 13.22). A status other than 0 tells the BMC to drop the session. */
export interface Rakp3 {
  readonly tag: number;
  readonly status: number;
  readonly bmcId: number;
  /** Key exchange authentication code; empty when the status is not 0. */
  readonly code: Buffer;
}

export function encodeRakp3(message: Rakp3): Buffer {
  const bytes = Buffer.alloc(8 + message.code.length);
  bytes[0] = message.tag;
  bytes[1] = message.status;
  bytes.writeUInt32LE(message.bmcId, 4);
  bytes.set(message.code, 8);
  return bytes;
}

/** @throws MalformedPacket */
export function decodeRakp3(payload: Buffer): Rakp3 {
  requireLength(payload, 8, 'RAKP 3');
  return {
    tag: payload[0]!,
    status: payload[1]!,
    bmcId: payload.readUInt32LE(4),
    code: payload.subarray(8),
  };
}
