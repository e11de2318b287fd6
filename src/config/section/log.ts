import { z } from 'zod';
import { choice } from '../setting.ts';

export const logSection = z.strictObject({
  level: choice(
    'Least important messages that are written',
    ['debug', 'info', 'warn', 'error', 'silent'],
    'info',
  ),
});
