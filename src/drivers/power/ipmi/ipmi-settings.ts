import { z } from 'zod';
import { parseDuration } from '../../../kernel/clock/duration.ts';
import { milliseconds, type Duration } from '../../../../plugin-api/index.ts';
import { quirkNames } from './quirks.ts';

/** Milliseconds as a number, or text such as `250ms`, `30s`, `5m`. */
const duration = z.union([z.number().nonnegative(), z.string()]).transform((value, context): Duration => {
  if (typeof value === 'number') return milliseconds(value);
  const parsed = parseDuration(value);
  if (parsed === null) context.addIssue({ code: 'custom', message: 'write a time such as 250ms, 30s or 5m' });
  return parsed ?? milliseconds(0);
});

/** Settings of the IPMI driver; every wait is here, so that a simulated floor can run faster than life. */
export const ipmiSettings = z
  .strictObject({
    answerTimeouts: z
      .array(duration)
      .min(1)
      .max(8)
      .prefault([1_000, 2_000, 3_000])
      .describe('How long each try waits for an answer; their number is the number of tries'),
    jitter: z
      .number()
      .min(0)
      .max(0.5)
      .default(0.2)
      .describe('Part by which each wait varies at random, so that retransmissions of many BMCs spread out'),
    onceTimeout: duration
      .prefault(6_000)
      .describe('How long to wait for the answer to cycle and soft off, which are sent only once'),
    lookupTimeout: duration
      .prefault(5_000)
      .describe('How long to wait for the address of a BMC that is given by name'),
    closeTimeout: duration.prefault(1_000).describe('How long to wait for the answer to Close Session'),
    idle: z
      .enum(['close', 'keep-alive'])
      .default('close')
      .describe(
        'What to do with an idle session: close it, to leave the few slots to others, or keep it alive',
      ),
    idleAfter: duration
      .prefault(20_000)
      .describe('When a session counts as idle; below the 30 to 60 seconds after which BMCs drop it'),
    commandPause: duration
      .prefault(0)
      .describe('Pause between two commands to one BMC, for BMCs that fall over when asked fast'),
    busyRetries: z.number().int().min(0).default(5).describe('How often a busy BMC is asked again'),
    busyPause: duration.prefault(1_000).describe('Pause before a busy BMC is asked again'),
    slotRetries: z
      .number()
      .int()
      .min(0)
      .default(3)
      .describe('How often a BMC without a free session is asked again'),
    slotPause: duration.prefault(5_000).describe('Pause before a BMC without a free session is asked again'),
    pollEvery: duration
      .prefault(1_000)
      .describe(
        'Longest pause between readings while a power change is awaited; the first ones follow closer',
      ),
    repeatAfter: duration
      .prefault(10_000)
      .describe('When on or off is sent a second and last time, if the state did not follow'),
    quirks: z
      .array(z.enum(quirkNames))
      .default([])
      .describe('Quirks that every BMC is taken to have, besides those known of its maker'),
    solRetryAfter: duration
      .prefault(500)
      .describe('How long a packet of the serial console waits for its acknowledgement'),
    solTries: z
      .number()
      .int()
      .min(1)
      .default(8)
      .describe('How often such a packet is sent before the console counts as broken'),
    solRefusals: z
      .number()
      .int()
      .min(0)
      .default(40)
      .describe('How often in a row the BMC may refuse what is typed, because it cannot take it now'),
  })
  .prefault({});

export type IpmiSettings = z.output<typeof ipmiSettings>;
