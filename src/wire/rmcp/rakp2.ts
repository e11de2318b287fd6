import { requireLength } from './malformed-packet.ts';
import { rmcpStatus } from './rmcp-status.ts';

/** RAKP Message 2, BMC to client (IPMI 2.0, section 13.21). */
export type Rakp2 =
  | {
      readonly tag: number;
      readonly status: typeof rmcpStatus.ok;
      readonly clientId: number;
      /** 16 bytes. */
      readonly bmcRandom: Buffer;
      /** 16 bytes, possibly all zeros; hashed as sent. */
      readonly guid: Buffer;
      /** Key exchange authentication code: 20 bytes in suite 3, 32 in suite 17. */
      readonly code: Buffer;
    }
  | { readonly tag: number; readonly status: number; readonly clientId: number | null; readonly code: null };

export function encodeRakp2(message: Rakp2): Buffer {
  const bytes = Buffer.alloc(message.clientId === null ? 2 : 8);
  bytes[0] = message.tag;
  bytes[1] = message.status;
  if (message.clientId !== null) bytes.writeUInt32LE(message.clientId, 4);
  return message.code === null
    ? bytes
    : Buffer.concat([bytes, message.bmcRandom, message.guid, message.code]);
}

/** @throws MalformedPacket */
export function decodeRakp2(payload: Buffer): Rakp2 {
  // Refusals may be as short as two bytes, so the status is read before the length is checked.
  requireLength(payload, 2, 'RAKP 2');
  const tag = payload[0]!;
  const status = payload[1]!;
  if (status !== rmcpStatus.ok)
    return { tag, status, clientId: payload.length >= 8 ? payload.readUInt32LE(4) : null, code: null };
  requireLength(payload, 40, 'RAKP 2');
  return {
    tag,
    status: rmcpStatus.ok,
    clientId: payload.readUInt32LE(4),
    bmcRandom: payload.subarray(8, 24),
    guid: payload.subarray(24, 40),
    code: payload.subarray(40),
  };
}
