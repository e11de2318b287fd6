import type { BootDeviceRequest } from '../../../../plugin-api/index.ts';
import { bootDeviceCode, encodeBootFlags, type BootFlags } from '../../../wire/rmcp/command/boot-flags.ts';
import type { Quirk } from './quirks.ts';

/** The boot flags that ask for this, on a BMC with these quirks. */
export function bootFlagsFor(request: BootDeviceRequest, quirks: readonly Quirk[]): BootFlags {
  const exception = quirks
    .map(({ bootDevice }) => bootDevice)
    .find((one) => one?.device === request.device && one.firmware === request.firmware);
  return {
    valid: true,
    persistent: request.persistent,
    efi: request.firmware === 'efi',
    device: exception?.code ?? bootDeviceCode[request.device],
  };
}

/** What boot flags read back mean, or null when they are not valid or ask for another device. */
export function requestOf(flags: BootFlags, quirks: readonly Quirk[]): BootDeviceRequest | null {
  if (!flags.valid) return null;
  const firmware = flags.efi ? 'efi' : 'legacy';
  for (const device of ['pxe', 'disk'] as const) {
    const request: BootDeviceRequest = { device, persistent: flags.persistent, firmware };
    if (flags.device === bootDeviceCode[device]) return request;
    if (flags.device === bootFlagsFor(request, quirks).device) return request;
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
