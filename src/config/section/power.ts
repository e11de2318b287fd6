import { z } from 'zod';
import { choice, duration, passedOn } from '../setting.ts';

export const powerSection = z
  .strictObject({
    driver: choice('Driver that talks to BMCs', ['ipmi'], 'ipmi'),
    pollInterval: duration(
      "How often every machine's power is read in the background; `timings.scale` divides it",
      '60s',
    ),
    reportMaxAge: duration(
      'A power state that was read longer ago is not reported to CloudStack; `timings.scale` divides it',
      '90s',
    ),
    settings: passedOn('Settings of that driver, which checks them'),
  })
  .superRefine(({ pollInterval, reportMaxAge }, context) => {
    if (reportMaxAge >= pollInterval) return;
    context.addIssue({
      code: 'custom',
      path: ['reportMaxAge'],
      params: { what: 'is shorter than power.pollInterval: mostly there would be nothing to report' },
      message: 'make it longer than power.pollInterval, by half for example',
    });
  });
