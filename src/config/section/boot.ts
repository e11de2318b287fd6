import { z } from 'zod';
import type { Duration } from '../../../plugin-api/index.ts';
import { parseDuration } from '../../kernel/clock/duration.ts';
import { flag, optionalText, port, settingFacts, text } from '../setting.ts';
import { tls } from './tls.ts';

const lldpRemedy = 'write whole seconds from 1s to 5m, or off';

/** In milliseconds, a whole number of seconds, as the ramdisk counts; 0 = off. YAML 1.1 reads a plain `off` as false. */
const lldp = z
  .union([z.string(), z.literal(false)], lldpRemedy)
  .transform((written, context): Duration => {
    const time = written === false || written === 'off' ? (0 as Duration) : parseDuration(written);
    if (time !== null && time % 1_000 === 0 && time <= 300_000 && (time > 0 || !/\d/.test(String(written))))
      return time;
    context.addIssue({ code: 'custom', message: lldpRemedy });
    return z.NEVER;
  })
  .prefault('35s')
  .register(settingFacts, {
    kind: 'duration',
    meaning:
      'How long a machine that is commissioned listens for its switches (LLDP), which announce themselves every 30 s; `off` = not',
    default: '35s',
  });

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
  tls,
  kernelArguments: optionalText(
    "Arguments for the ramdisk's kernel besides ours: console=ttyS0,115200 shows it on the serial port",
    // What iPXE would expand or split the line at is no argument.
    'write arguments with spaces between them; letters, digits and the signs _ . , : = + @ / - only',
    /^[A-Za-z0-9_.,:=+@/ -]+$/,
  ),
  lldp,
  sendfile: flag(
    "Whether images and the ramdisk are sent by Linux' sendfile(2), where the package koffi is installed and without TLS; false = by Node",
    true,
  ),
});
