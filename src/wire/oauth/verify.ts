import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../../plugin-api/index.ts';
import type { OAuthValues } from './oauth-values.ts';
import { signature, signatureMethods, type Entry, type SignatureMethod } from './signature.ts';

/** What the verifier sees of a request. */
export interface ReceivedRequest {
  readonly method: string;
  /** Absolute, as the client wrote it, with its query as it came. */
  readonly url: string;
  /** Fields of an urlencoded body; of no other body. */
  readonly bodyFields: readonly Entry[];
}

export function isSignatureMethod(text: string): text is SignatureMethod {
  return (signatureMethods as readonly string[]).includes(text);
}

/** Whether the signature is right, by RFC 5849; the comparison takes the same time wherever they differ. */
export function isSignatureRight(
  values: OAuthValues,
  tokenSecret: Secret,
  { method, url, bodyFields }: ReceivedRequest,
): boolean {
  if (!isSignatureMethod(values.signatureMethod)) return false;
  // Values that came with query or body are among those fields already.
  const parameters = [...values.covered, ...bodyFields.filter(([name]) => name !== 'oauth_signature')];
  const expected = signature(values.signatureMethod, tokenSecret, {
    method,
    url: withoutSignature(url),
    parameters,
  });
  return timingSafeEqual(digest(values.signature), digest(expected));
}

function withoutSignature(url: string): string {
  const at = url.indexOf('?');
  if (at < 0 || !url.includes('oauth_signature', at)) return url;
  const kept = url
    .slice(at + 1)
    .split('&')
    .filter((part) => !/^oauth_signature(=|$)/.test(part));
  return `${url.slice(0, at)}?${kept.join('&')}`;
}

/** Hashes have one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
