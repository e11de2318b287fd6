import { z } from 'zod';
import { duration, settingFacts } from '../setting.ts';

const countRemedy = 'write a whole number from 1 to 1000';

const count = (meaning: string, fallback: number) =>
  z
    .int(countRemedy)
    .min(1, countRemedy)
    .max(1_000, countRemedy)
    .default(fallback)
    .register(settingFacts, { kind: 'whole number', meaning, default: String(fallback) });

const percentRemedy = 'write a whole number from 0 to 100';

export const surveySection = z.strictObject({
  bmcs: count('So many BMCs are asked at once by `csbm doctor`, and after a restore', 64),
  switches: count('The same for switches', 16),
  bmcTimeout: duration('A BMC that has not answered after that is told as unreachable', '15s'),
  switchTimeout: duration('The same for a switch', '1m'),
  checkTimeout: duration('The same for anything else: an upstream MAAS, the database', '10s'),
  certificateWarning: duration("The end of a listener's certificate is told this long before", '14d'),
  slowDatabase: duration('One short reading of the database that takes longer is told', '1s'),
  freeDisk: z
    .int(percentRemedy)
    .min(0, percentRemedy)
    .max(100, percentRemedy)
    .default(5)
    .register(settingFacts, {
      kind: 'whole number',
      meaning: 'A disk with less free than this, in percent, is told, if it is also less than 5 GiB',
      default: '5',
    }),
});
