import { z } from 'zod';
import { passedOn, path } from '../setting.ts';

export const provisioningSection = z.strictObject({
  settings: passedOn('Settings of the native deploy engine, which checks them'),
  imageDir: path('Folder of the images', 'images'),
});
