import { z } from 'zod';
import { flag, optionalSecret, port, text } from '../setting.ts';
import { isLoopback } from './http.ts';
import { tls } from './tls.ts';

/** Shorter ones can be guessed. */
const shortestToken = 16;

/** The agent protocol's commands over HTTP, for a direct-connect resource in the management server. */
export const direct = z
  .strictObject({
    enabled: flag("Whether to take CloudStack's commands over HTTP, from the adapter", false),
    host: text('Address that it listens on', '127.0.0.1'),
    port: port('TCP port; 0 = any free one', 8450),
    token: optionalSecret('Bearer token that the adapter sends, for example file:/etc/csbm/direct.token'),
    tls,
    allowPlain: flag(
      'Whether it may be served without TLS on an address that others can reach: the token then crosses the network in the clear',
      false,
    ),
  })
  .superRefine((value, context) => {
    if (!value.enabled) return;
    const complain = (key: string, what: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [key], params: { what }, message });
    };
    if (!value.token) complain('token', 'is missing', 'write env:NAME or file:/path');
    else if (value.token.reveal().length < shortestToken)
      complain('token', 'is too short', `use at least ${shortestToken} characters: openssl rand -hex 32`);
    if (value.tls.certFile === undefined && !value.allowPlain && !isLoopback(value.host))
      complain(
        'host',
        'can be reached by others, and there is no TLS',
        'set tls.certFile and tls.keyFile, or listen on 127.0.0.1; if it must be, allowPlain: true',
      );
  });
