import { z } from 'zod';
import { choice, path } from '../setting.ts';

export const storeSection = z.strictObject({
  type: choice('Kind of database', ['sqlite'], 'sqlite'),
  file: path('Database file; one process uses it at a time', 'csbm.sqlite'),
});
