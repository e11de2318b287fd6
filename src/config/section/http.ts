import { z } from 'zod';
import { flag, port, text } from '../setting.ts';
import { tls } from './tls.ts';

export const httpSection = z
  .strictObject({
    host: text('Address that the admin API and the dashboard listen on', '127.0.0.1'),
    port: port('TCP port of the admin API and the dashboard; 0 = any free one', 8440),
    tls,
    allowPlain: flag(
      'Whether the admin API may be served without TLS on an address that others can reach: tokens then cross the network in the clear',
      false,
    ),
  })
  .superRefine((value, context) => {
    if (value.tls.certFile !== undefined || value.allowPlain || isLoopback(value.host)) return;
    context.addIssue({
      code: 'custom',
      path: ['host'],
      params: { what: 'can be reached by others, and there is no TLS' },
      message:
        'set http.tls.certFile and http.tls.keyFile, or listen on 127.0.0.1; if it must be, http.allowPlain: true',
    });
  });

/** Only what certainly does not leave this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
