import { milliseconds, type BootDeviceRequest, type Duration } from '../../../../plugin-api/index.ts';
import { bootDeviceCode } from '../../../wire/rmcp/command/boot-flags.ts';

export const quirkNames = ['few-sessions', 'supermicro-uefi-disk', 'easily-overrun'] as const;
export type QuirkName = (typeof quirkNames)[number];

/**
 * Where BMCs of a maker differ from what all others do. What every BMC can bear is no quirk but the way the driver works:
 * the same level in Open Session and RAKP 1, refusals of two bytes, wrong inner checksums, "not in this state" for a state
 * that is reached, an unknown boot option parameter 3.
 */
export interface Quirk {
  readonly name: QuirkName;
  /** IANA enterprise numbers, as Get Device ID gives them; none = only where it is named in the settings. */
  readonly manufacturers: readonly number[];
  readonly meaning: string;
  readonly source: string;
  /** Its few session slots are not kept: an idle session is closed. */
  readonly closesIdle?: true;
  /** Least pause between two commands. */
  readonly commandPause?: Duration;
  /** Another number for a boot device than the specification's. */
  readonly bootDevice?: Pick<BootDeviceRequest, 'device' | 'firmware'> & { readonly code: number };
}

const cisco = 5771;
const supermicro = 10876;

export const quirks: readonly Quirk[] = [
  {
    name: 'few-sessions',
    manufacturers: [cisco],
    meaning: 'It has four sessions or so: an idle session is closed even where others are kept',
    source: 'ipmitool issue 213, openbmc issue 1241',
    closesIdle: true,
  },
  {
    name: 'supermicro-uefi-disk',
    manufacturers: [supermicro],
    meaning: 'Its UEFI boots the disk by the number of the remote primary medium (24h)',
    source: 'OpenStack Ironic, drivers/modules/ipmitool.py, _vendor_aware_boot_device_map',
    bootDevice: { device: 'disk', firmware: 'efi', code: bootDeviceCode.remotePrimary },
  },
  {
    name: 'easily-overrun',
    manufacturers: [],
    meaning: 'It falls over when asked fast: at least a second between two commands',
    source: 'OpenStack Ironic, option min_command_interval',
    commandPause: milliseconds(1_000),
  },
];

/** The quirks of a BMC of this maker (null = not known yet), and those that the settings name. */
export function quirksOf(manufacturer: number | null, named: readonly QuirkName[] = []): readonly Quirk[] {
  return quirks.filter(
    ({ name, manufacturers }) =>
      named.includes(name) || (manufacturer !== null && manufacturers.includes(manufacturer)),
  );
}
