import { z } from 'zod';
import { choice } from '../setting.ts';

export const eraseSection = z.strictObject({
  defaultGrade: choice(
    'How disks are erased when a machine is released: secure where the disk can, and full where it cannot. quick and none leave data behind',
    ['secure', 'full', 'quick', 'none'],
    'secure',
  ),
});
