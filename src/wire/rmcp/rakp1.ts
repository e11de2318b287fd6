import { MalformedPacket, requireLength } from './malformed-packet.ts';

/** RAKP Message 1, client to BMC (IPMI 2.0, section 13.20). */
export interface Rakp1 {
  readonly tag: number;
  readonly bmcId: number;
  /** 16 random bytes. */
  readonly clientRandom: Buffer;
  /** Privilege level in bits 3-0, bit 4 = look the user up by name only. Hashed as sent, whole. */
  readonly role: number;
  /** At most {@link maxUsernameBytes} bytes. */
  readonly username: Buffer;
}

/** Limit of the protocol: 16 bytes. */
export const maxUsernameBytes = 16;
/** Role byte bit: find the user by name, whatever the level. */
export const nameOnlyLookup = 0x10;

export function encodeRakp1(message: Rakp1): Buffer {
  const bytes = Buffer.alloc(28 + message.username.length);
  bytes[0] = message.tag;
  bytes.writeUInt32LE(message.bmcId, 4);
  bytes.set(message.clientRandom, 8);
  bytes[24] = message.role;
  bytes[27] = message.username.length;
  bytes.set(message.username, 28);
  return bytes;
}

/** @throws MalformedPacket */
export function decodeRakp1(payload: Buffer): Rakp1 {
  requireLength(payload, 28, 'RAKP 1');
  const length = payload[27]!;
  if (length > maxUsernameBytes) throw new MalformedPacket(`RAKP 1: a user name of ${length} bytes`);
  requireLength(payload, 28 + length, 'RAKP 1');
  return {
    tag: payload[0]!,
    bmcId: payload.readUInt32LE(4),
    clientRandom: payload.subarray(8, 24),
    role: payload[24]!,
    username: payload.subarray(28, 28 + length),
  };
}
