import type { BootDeviceRequest } from '../../../../plugin-api/index.ts';
import { bootDeviceCode, encodeBootFlags, type BootFlags } from '../../../wire/rmcp/command/boot-flags.ts';

/** Where a vendor's firmware wants another device number than the specification's. */
interface BootDeviceException {
  /** IANA enterprise number, as Get Device ID gives it. */
  readonly manufacturer: number;
  readonly device: BootDeviceRequest['device'];
  readonly firmware: BootDeviceRequest['firmware'];
  readonly code: number;
  readonly source: string;
}

const exceptions: readonly BootDeviceException[] = [
  {
    manufacturer: 10876, // Supermicro
    device: 'disk',
    firmware: 'efi',
    code: bootDeviceCode.remotePrimary, // 24h in the second byte of the flags
    source: 'OpenStack Ironic, drivers/modules/ipmitool.py, _vendor_aware_boot_device_map',
  },
];

/** The boot flags that ask for this, on a BMC of this manufacturer (null = not known: the specification's numbers). */
export function bootFlagsFor(request: BootDeviceRequest, manufacturer: number | null): BootFlags {
  const exception = exceptions.find(
    (one) =>
      one.manufacturer === manufacturer && one.device === request.device && one.firmware === request.firmware,
  );
  return {
    valid: true,
    persistent: request.persistent,
    efi: request.firmware === 'efi',
    device: exception?.code ?? bootDeviceCode[request.device],
  };
}

/** What boot flags read back mean, or null when they are not valid or ask for another device. */
export function requestOf(flags: BootFlags, manufacturer: number | null): BootDeviceRequest | null {
  if (!flags.valid) return null;
  const firmware = flags.efi ? 'efi' : 'legacy';
  for (const device of ['pxe', 'disk'] as const) {
    const request: BootDeviceRequest = { device, persistent: flags.persistent, firmware };
    if (flags.device === bootDeviceCode[device]) return request;
    if (flags.device === bootFlagsFor(request, manufacturer).device) return request;
  }
  return null;
}

/** `pxe once legacy`: for plans, evidence and errors. */
export function describeRequest(request: BootDeviceRequest): string {
  return `${request.device} ${request.persistent ? 'persistent' : 'once'} ${request.firmware}`;
}

/** The five bytes as an administrator would type them to `ipmitool raw`. */
export function flagBytes(flags: BootFlags): string {
  return encodeBootFlags(flags)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ');
}
