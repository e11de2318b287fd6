import { requireLength } from './malformed-packet.ts';
import { rmcpStatus } from './rmcp-status.ts';

/** RAKP Message 4, BMC to client (IPMI 2.0, section 13.23). */
export interface Rakp4 {
  readonly tag: number;
  readonly status: number;
  readonly clientId: number | null;
  /** Integrity check value: 12 bytes in suite 3, 16 in suite 17; empty when the status is not 0. */
  readonly check: Buffer;
}

export function encodeRakp4(message: Rakp4): Buffer {
  const bytes = Buffer.alloc(message.clientId === null ? 2 : 8);
  bytes[0] = message.tag;
  bytes[1] = message.status;
  if (message.clientId !== null) bytes.writeUInt32LE(message.clientId, 4);
  return Buffer.concat([bytes, message.check]);
}

/** @throws MalformedPacket */
export function decodeRakp4(payload: Buffer): Rakp4 {
  requireLength(payload, 2, 'RAKP 4');
  const status = payload[1]!;
  if (status === rmcpStatus.ok) requireLength(payload, 8, 'RAKP 4');
  const full = payload.length >= 8;
  return {
    tag: payload[0]!,
    status,
    clientId: full ? payload.readUInt32LE(4) : null,
    check: full ? payload.subarray(8) : Buffer.alloc(0),
  };
}
