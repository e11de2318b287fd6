import { z } from 'zod';
import { parseDuration } from '../../../kernel/clock/duration.ts';
import type { Duration } from '../../../../plugin-api/index.ts';

/** `30s`, `250ms`, or a number of milliseconds. */
const duration = z.union([z.number().positive(), z.string()]).transform((value, issues): Duration => {
  const time = typeof value === 'number' ? (value as Duration) : parseDuration(value);
  if (time !== null) return time;
  issues.addIssue('write a duration such as 250ms, 30s or 5m');
  return z.NEVER;
});

/** Settings of the Force10 driver; every wait has one. */
export const force10Settings = z.strictObject({
  /** TCP connect, key exchange, password. Old switches need several seconds for the key exchange alone. */
  connectTimeout: duration.prefault('30s').describe('Connecting and logging in over SSH'),
  /** From the open shell to the privileged prompt, banner and `enable` included. */
  loginTimeout: duration.prefault('30s').describe('Reaching the privileged prompt'),
  commandTimeout: duration.prefault('60s').describe('One command, from sending it to the next prompt'),
  /** A stack copies the configuration to its standby unit, which takes up to a minute. */
  saveTimeout: duration.prefault('2m').describe('`write memory`'),
  sessionTimeout: duration
    .prefault('10m')
    .describe('All commands of one reading, or of one batch of changes, in a session'),
  closeTimeout: duration.prefault('3s').describe('Closing politely before the connection is cut'),
  /** How long the line must be silent before an unexpected prompt is believed. */
  settle: duration.prefault('300ms').describe('Silence that confirms an unexpected prompt'),
  preparePorts: z
    .boolean()
    .prefault(true)
    .describe('Set `portmode hybrid` on ports of the rack config that are in no VLAN yet'),
});

export type Force10Settings = z.output<typeof force10Settings>;
