import { z } from 'zod';
import { parseDuration } from '../../kernel/clock/duration.ts';
import { duration } from '../setting.ts';

/** What may still be asked for must not be gone. */
const shortest: Readonly<Record<string, string>> = {
  interval: '1m',
  timeline: '1h',
  operations: '1h',
  deployments: '1h',
  bootConversations: '1h',
  alarms: '1h',
  nonces: '11m',
};

export const retentionSection = z
  .strictObject({
    interval: duration('How often old rows are looked for, and removed', '1h'),
    timeline: duration('Events of `csbm timeline` are kept for', '180d'),
    operations: duration(
      'Ended operations with their steps are kept for; the last one of each machine always is',
      '180d',
    ),
    deployments: duration('What was installed, and is gone since, is kept for', '180d'),
    bootConversations: duration('Boot conversations that are over are kept for', '30d'),
    alarms: duration('Alarms are kept for', '180d'),
    nonces: duration('Nonces of requests to the MAAS API are kept for', '1h'),
  })
  .superRefine((retention, context) => {
    for (const [key, least] of Object.entries(shortest)) {
      if (retention[key as keyof typeof retention] >= parseDuration(least)!) continue;
      context.addIssue({
        code: 'custom',
        path: [key],
        params: { what: 'is too short' },
        message: `make it at least ${least}`,
      });
    }
  });
