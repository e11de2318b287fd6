import type { OAuthKey } from './api-key.ts';
import { percentEncode } from './percent-encoding.ts';
import { signature, type Entry, type SignatureMethod } from './signature.ts';

export interface SignOptions {
  readonly key: OAuthKey;
  readonly method: string;
  /** Absolute, with its query. */
  readonly url: string;
  /** Fields of the body where it is urlencoded; a body of another kind is not covered. */
  readonly fields?: readonly Entry[];
  readonly signatureMethod: SignatureMethod;
  /** Epoch seconds. */
  readonly timestamp: number;
  /** Never used before with this key. */
  readonly nonce: string;
}

/** The `Authorization` header of one request, as a client of MAAS sends it. */
export function authorizationHeader(options: SignOptions): string {
  const { key, method, url, fields = [], signatureMethod, timestamp, nonce } = options;
  const values: readonly Entry[] = [
    ['oauth_version', '1.0'],
    ['oauth_signature_method', signatureMethod],
    ['oauth_consumer_key', key.consumerKey],
    ['oauth_token', key.tokenKey],
    ['oauth_timestamp', String(timestamp)],
    ['oauth_nonce', nonce],
  ];
  const parameters = [...values, ...fields];
  const signed = signature(signatureMethod, key.tokenSecret, { method, url, parameters });
  const written = [...values, ['oauth_signature', signed] as const].map(
    ([name, value]) => `${name}="${percentEncode(value)}"`,
  );
  return `OAuth realm="", ${written.join(', ')}`;
}
