import { createHmac } from 'node:crypto';
import type { Secret } from '../../../plugin-api/index.ts';
import { percentEncode } from './percent-encoding.ts';

export const signatureMethods = ['PLAINTEXT', 'HMAC-SHA1'] as const;
export type SignatureMethod = (typeof signatureMethods)[number];

export type Entry = readonly [name: string, value: string];

/** A request as far as a signature covers it. */
export interface SignedRequest {
  readonly method: string;
  /** Absolute, as the client sees it, with its query. */
  readonly url: string;
  /** `oauth_*` values without `oauth_signature` and `realm`, and the fields of an urlencoded body; of no other body. */
  readonly parameters: readonly Entry[];
}

/**
 * The text that HMAC-SHA1 covers (RFC 5849 section 3.4.1): method, base URL and all parameters, sorted, those of the query
 * among them. A name may come more than once, and a value may be empty.
 */
export function signatureBase({ method, url, parameters }: SignedRequest): string {
  const { base, query } = splitUrl(url);
  const encoded = [...queryEntries(query), ...parameters]
    .map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
    .sort(byNameThenValue)
    .map(([name, value]) => `${name}=${value}`);
  return [method.toUpperCase(), base, encoded.join('&')].map(percentEncode).join('&');
}

/** `oauth_signature`, not yet encoded for where it goes. The consumer's secret is empty. */
export function signature(
  signatureMethod: SignatureMethod,
  tokenSecret: Secret,
  request: SignedRequest,
): string {
  const key = `&${percentEncode(tokenSecret.reveal())}`;
  if (signatureMethod === 'PLAINTEXT') return key;
  return createHmac('sha1', key).update(signatureBase(request)).digest('base64');
}

/** Fields of a query or of an urlencoded text, `+` being a space. */
export function queryEntries(query: string): readonly Entry[] {
  // The first `?` of what it is given would be dropped.
  return [...new URLSearchParams(`?${query}`)];
}

/** Base URL (section 3.4.1.2: lower case, no default port, no query) and the query as it came. */
function splitUrl(url: string): { readonly base: string; readonly query: string } {
  const [, scheme = '', authority = '', path = '', query = ''] =
    /^([A-Za-z]+):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/.exec(url) ?? [];
  const lower = scheme.toLowerCase();
  const defaultPort = lower === 'https' ? ':443' : ':80';
  const host = authority.toLowerCase();
  const shown = host.endsWith(defaultPort) ? host.slice(0, -defaultPort.length) : host;
  return { base: `${lower}://${shown}${path === '' ? '/' : path}`, query };
}

/** By bytes, as section 3.4.1.3.2 wants it: encoded texts are ASCII. */
function byNameThenValue([nameA, valueA]: Entry, [nameB, valueB]: Entry): number {
  if (nameA !== nameB) return nameA < nameB ? -1 : 1;
  return valueA === valueB ? 0 : valueA < valueB ? -1 : 1;
}
