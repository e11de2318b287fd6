import { requireLength } from './malformed-packet.ts';

/** A Serial over LAN packet (IPMI 2.0, section 15.9), the payload of type 1. */
export interface SolPacket {
  /** 1 to 15, or 0 = nothing but an acknowledgement. */
  readonly sequence: number;
  /** The packet of the other end that this one acknowledges; 0 = none. */
  readonly acknowledged: number;
  /** How many of its characters were taken. */
  readonly accepted: number;
  /** From the console: {@link solOperation}; from the BMC: {@link solStatus}. */
  readonly flags: number;
  readonly characters: Buffer;
}

export const solOperation = { nack: 0x40, sendBreak: 0x10 } as const;
export const solStatus = { nack: 0x40, unavailable: 0x20, deactivated: 0x10, overrun: 0x08 } as const;

export const solHeaderLength = 4;
const lastSequence = 15;

/** The sequence number after this one: 1 to 15, then 1 again. */
export function nextSolSequence(sequence: number): number {
  return sequence >= lastSequence ? 1 : sequence + 1;
}

export function encodeSolPacket(packet: SolPacket): Buffer {
  const bytes = Buffer.alloc(solHeaderLength + packet.characters.length);
  bytes[0] = packet.sequence;
  bytes[1] = packet.acknowledged;
  bytes[2] = packet.accepted;
  bytes[3] = packet.flags;
  packet.characters.copy(bytes, solHeaderLength);
  return bytes;
}

/** @throws MalformedPacket */
export function decodeSolPacket(payload: Buffer): SolPacket {
  requireLength(payload, solHeaderLength, 'SOL packet');
  return {
    sequence: payload[0]! & 0x0f,
    acknowledged: payload[1]! & 0x0f,
    accepted: payload[2]!,
    flags: payload[3]!,
    characters: payload.subarray(solHeaderLength),
  };
}
