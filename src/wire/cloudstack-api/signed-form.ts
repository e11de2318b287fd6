import { createHmac } from 'node:crypto';
import type { Secret } from '../../../plugin-api/index.ts';

/** Keys of one user of CloudStack's HTTP API. */
export interface ApiKeys {
  readonly apiKey: Secret;
  readonly secretKey: Secret;
}

/**
 * A request to CloudStack's HTTP API as the body of a POST (`application/x-www-form-urlencoded`): what a URL would show in access
 * logs stays out of it. The signature (version 3) ends at `expires`; servers that enforce timestamps refuse more than 15 minutes ahead
 * (`ApiServer.verifyRequest`).
 */
export function signedForm(
  command: string,
  parameters: Readonly<Record<string, string>>,
  keys: ApiKeys,
  expires: Date,
): string {
  const all = {
    ...parameters,
    command,
    response: 'json',
    apikey: keys.apiKey.reveal(),
    signatureversion: '3',
    expires: apiTime(expires),
  };
  const form = Object.entries(all).map(([name, value]) => `${name}=${javaUrlEncode(value)}`);
  return [...form, `signature=${javaUrlEncode(signature(all, keys.secretKey))}`].join('&');
}

/**
 * The signature of a request without its `signature` parameter: HMAC-SHA1 over the parameters in order of their names, values
 * URL-encoded, all in lower case. The server sorts the names as they were sent, so they have to be in lower case.
 */
export function signature(parameters: Readonly<Record<string, string>>, secretKey: Secret): string {
  const canonical = Object.entries(parameters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${javaUrlEncode(value)}`)
    .join('&')
    .toLowerCase();
  return createHmac('sha1', secretKey.reveal()).update(canonical).digest('base64');
}

/** As Java's `URLEncoder` does it, but for the blank: letters, digits and `.-*_` stay. The server encodes anew what it decoded. */
function javaUrlEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!~'()]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** `2026-01-31T12:00:00+0000`, as `DateUtil.parseTZDateString` reads it. */
function apiTime(time: Date): string {
  return `${time.toISOString().slice(0, 19)}+0000`;
}
