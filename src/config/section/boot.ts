import { z } from 'zod';
import { optionalText, port, text } from '../setting.ts';

export const bootSection = z.strictObject({
  host: text(
    'Address that the boot service listens on; it must be reachable from the provisioning network',
    '127.0.0.1',
  ),
  port: port('TCP port of the boot service; 0 = any free one', 8480),
  publicUrl: optionalText(
    'URL by which machines reach the boot service, where it is not http://host:port',
    'write a URL that begins with http:// or https://',
    /^https?:\/\/[^\s/]+/,
  ),
});
