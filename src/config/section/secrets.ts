import { z } from 'zod';
import { optionalSecret, path } from '../setting.ts';

export const secretsSection = z.strictObject({
  keyFile: path(
    'File with the key that encrypts stored secrets; made at the first start. Back it up',
    'secret.key',
  ),
  key: optionalSecret('The key itself, instead of the file, for example env:CSBM_KEY'),
});
