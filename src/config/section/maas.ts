import { z } from 'zod';
import { choice, flag, port, settingFacts, text } from '../setting.ts';
import { isLoopback } from './http.ts';
import { tls } from './tls.ts';

/** The door for MAAS's clients. */
export const maasSection = z
  .strictObject({
    enabled: flag('Whether to serve the MAAS 2.0 API', false),
    host: text('Address that it listens on', '127.0.0.1'),
    port: port("TCP port; 0 = any free one. CloudStack's maas.py can only use 5240", 5240),
    tls,
    allowPlain: flag(
      'Whether it may be served without TLS on an address that others can reach: keys then cross the network in the clear',
      false,
    ),
    reportedVersion: text('Version of MAAS that clients are told', '3.5.0'),
    eraseShownAs: choice(
      'How the erase of a released machine is told; `Releasing` is for clients that take `Disk erasing` for a failure, as terraform does',
      ['Disk erasing', 'Releasing'],
      'Disk erasing',
    ),
    releasingFor: z
      .array(z.string().min(1), 'write a list of user names')
      .default([])
      .register(settingFacts, {
        kind: 'list',
        meaning: 'Names of users who are told `Releasing` during an erase, whatever the others are told',
      }),
    strict: z
      .literal('canonical', 'write canonical, or leave it out')
      .nullable()
      .default(null)
      .register(settingFacts, {
        kind: 'text',
        values: ['canonical'],
        meaning:
          'How near to MAAS: `canonical` = its own defaults and refusals instead of our better ones, for testing drivers of MAAS',
      }),
  })
  .superRefine((value, context) => {
    if (!value.enabled || value.tls.certFile !== undefined || value.allowPlain || isLoopback(value.host))
      return;
    context.addIssue({
      code: 'custom',
      path: ['host'],
      params: { what: 'can be reached by others, and there is no TLS' },
      message: 'set tls.certFile and tls.keyFile, or listen on 127.0.0.1; if it must be, allowPlain: true',
    });
  });
