import { z } from 'zod';
import { port, text } from '../setting.ts';

export const httpSection = z.strictObject({
  host: text('Address that the admin API and the dashboard listen on', '127.0.0.1'),
  port: port('TCP port of the admin API and the dashboard; 0 = any free one', 8440),
});
