import { z } from 'zod';
import { parseVlanId, type Duration } from '../../../../plugin-api/index.ts';
import { parseDuration } from '../../../kernel/clock/duration.ts';

/** `30s`, `250ms`, or a number of milliseconds. */
const duration = z.union([z.number().positive(), z.string()]).transform((value, issues): Duration => {
  const time = typeof value === 'number' ? (value as Duration) : parseDuration(value);
  if (time !== null) return time;
  issues.addIssue('write a duration such as 250ms, 30s or 5m');
  return z.NEVER;
});

const file = z.string().min(1).nullable().prefault(null);

/** Settings of the Open vSwitch driver; every wait has one. */
export const ovsSettings = z.strictObject({
  bridge: z
    .string()
    .min(1)
    .nullable()
    .prefault(null)
    .describe('The bridge that is the switch; needed where Open vSwitch has several'),
  /** Open vSwitch has no default VLAN: a port without a VLAN carries all of them. */
  defaultVlan: z
    .int()
    .min(1)
    .max(4094)
    .transform(parseVlanId)
    .nullable()
    .prefault(null)
    .describe('The VLAN that counts as the default VLAN of the bridge'),
  /** Linux allows 15 characters in the name of a device. */
  shutBridge: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,14}$/)
    .prefault('csbm-shut')
    .describe('The bridge that holds ports that are shut; it forwards nothing'),
  preparePorts: z
    .boolean()
    .prefault(true)
    .describe('Take ports of the rack config that carry every VLAN, as `ovs-vsctl add-port` leaves them'),
  connectTimeout: duration.prefault('10s').describe('Connecting to the database'),
  commandTimeout: duration.prefault('30s').describe('One request to the database'),
  applyTimeout: duration
    .prefault('30s')
    .describe('Until `ovs-vswitchd` has taken a change that is in the database'),
  caFile: file.describe('Transport `ssl`: certificates (PEM) that vouch for the switch'),
  certificateFile: file.describe('Transport `ssl`: our certificate (PEM)'),
  privateKeyFile: file.describe('Transport `ssl`: its private key (PEM)'),
});

export type OvsSettings = z.output<typeof ovsSettings>;
