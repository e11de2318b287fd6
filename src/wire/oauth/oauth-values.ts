import { percentDecode } from './percent-encoding.ts';
import type { Entry } from './signature.ts';

const needed = [
  'oauth_consumer_key',
  'oauth_token',
  'oauth_signature',
  'oauth_signature_method',
  'oauth_timestamp',
  'oauth_nonce',
] as const;

const known: ReadonlySet<string> = new Set([...needed, 'oauth_version', 'oauth_callback', 'oauth_verifier']);

/** What a request says about its signature. */
export interface OAuthValues {
  readonly consumerKey: string;
  readonly token: string;
  readonly signature: string;
  readonly signatureMethod: string;
  /** As it was written. */
  readonly timestamp: string;
  readonly nonce: string;
  /** Null where it is not said. */
  readonly version: string | null;
  /** Those of the header, which the signature covers besides query and body; without signature and realm. */
  readonly covered: readonly Entry[];
}

/** Whether the name is a parameter of the signature: handlers do not see it. */
export function isOAuthName(name: string): boolean {
  return known.has(name);
}

/**
 * The six values of an `Authorization` header, or null where one of them is missing or it is no OAuth header. Any order, with
 * or without spaces, quotes and `realm`: MAAS's clients write it in many ways.
 */
export function fromHeader(header: string): OAuthValues | null {
  const match = /^OAuth(?:\s+|$)/i.exec(header);
  if (!match) return null;
  const entries: Entry[] = [];
  for (const part of header.slice(match[0].length).split(',')) {
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    const name = percentDecode(part.slice(0, equals).trim());
    const written = part.slice(equals + 1).trim();
    const quoted = written.length >= 2 && written.startsWith('"') && written.endsWith('"');
    entries.push([name, percentDecode(quoted ? written.slice(1, -1) : written)]);
  }
  const covered = entries.filter(([name]) => name !== 'oauth_signature' && name !== 'realm');
  return fromEntries(entries, covered);
}

/** The six values among the fields of a query or a body, or null where one of them is missing. */
export function fromFields(fields: readonly Entry[]): OAuthValues | null {
  return fromEntries(fields, []);
}

function fromEntries(entries: readonly Entry[], covered: readonly Entry[]): OAuthValues | null {
  const values = new Map<string, string>();
  for (const [name, value] of entries) {
    if (!known.has(name)) continue;
    // Which of two would be meant cannot be known.
    if (values.has(name)) return null;
    values.set(name, value);
  }
  const [consumerKey, token, signature, signatureMethod, timestamp, nonce] = needed.map((name) =>
    values.get(name),
  );
  if (!consumerKey || !token || !signature || !signatureMethod || !timestamp || !nonce) return null;
  const version = values.get('oauth_version') ?? null;
  return { consumerKey, token, signature, signatureMethod, timestamp, nonce, version, covered };
}
