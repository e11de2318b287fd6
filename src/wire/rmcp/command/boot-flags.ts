import { requireLength } from '../malformed-packet.ts';

/** Boot device numbers of parameter 5 that we use or meet (IPMI 2.0, table 28-14). */
export const bootDeviceCode = { none: 0, pxe: 1, disk: 2, remotePrimary: 9 } as const;

/** The part of boot option parameter 5 that says what is booted next. */
export interface BootFlags {
  readonly valid: boolean;
  readonly persistent: boolean;
  readonly efi: boolean;
  /** 0 to 15, see {@link bootDeviceCode}. */
  readonly device: number;
}

export function encodeBootFlags(flags: BootFlags): Buffer {
  const first = (flags.valid ? 0x80 : 0) | (flags.persistent ? 0x40 : 0) | (flags.efi ? 0x20 : 0);
  return Buffer.from([first, flags.device << 2, 0, 0, 0]);
}

/** @throws MalformedPacket */
export function decodeBootFlags(data: Buffer): BootFlags {
  requireLength(data, 2, 'boot flags');
  return {
    valid: (data[0]! & 0x80) !== 0,
    persistent: (data[0]! & 0x40) !== 0,
    efi: (data[0]! & 0x20) !== 0,
    device: (data[1]! >> 2) & 0x0f,
  };
}
