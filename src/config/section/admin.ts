import { z } from 'zod';
import { optionalSecret, path } from '../setting.ts';

export const adminSection = z.strictObject({
  token: optionalSecret("The first administrator's token, for example env:CSBM_FIRST_TOKEN"),
  tokenFile: path(
    'Where that token is written when none is given: made at the first start, readable by its owner only',
    'admin.token',
  ),
});
