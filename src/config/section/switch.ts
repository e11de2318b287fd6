import { z } from 'zod';
import { passedOn } from '../setting.ts';

export const switchSection = z.strictObject({
  settings: passedOn(
    'Settings of the switch drivers: switch type, then key and value; the driver checks them',
  ),
});
