import { z } from 'zod';
import { choice, passedOn } from '../setting.ts';

export const powerSection = z.strictObject({
  driver: choice('Driver that talks to BMCs', ['ipmi'], 'ipmi'),
  settings: passedOn('Settings of that driver, which checks them'),
});
