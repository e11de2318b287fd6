import { CodedError, Secret } from '../../../../plugin-api/index.ts';
import type { OAuthKey } from '../../../wire/oauth/api-key.ts';

/** Where MAAS listens when nothing else is said. */
const defaultPort = 5240;

/** An upstream MAAS and the key to it. */
export interface MaasAddress {
  /** Root of MAAS, without a slash at its end: `http://maas.example.org:5240/MAAS`. */
  readonly url: string;
  readonly key: OAuthKey;
}

const names = ['maasip', 'maaskey', 'maassecret', 'maasconsumerkey'] as const;

/**
 * Reads CloudStack's old way to name a MAAS, `MaasIP=...;MaasKey=...;MaasSecret=...;MaasConsumerKey=...`, in any order and
 * case. `MaasIP` is an address, with a port where it is not 5240, or a URL. Errors name keys, never values.
 * @throws CodedError `config.invalid`
 */
export function parseConnectionString(text: string): MaasAddress {
  const values = new Map<string, string>();
  for (const part of text.split(';')) {
    if (part.trim() === '') continue;
    const equals = part.indexOf('=');
    // What stands there instead of a key may be a secret that was cut by a semicolon.
    if (equals < 0) throw invalid('a part of it is not key=value');
    const name = part.slice(0, equals).trim().toLowerCase();
    if (!names.some((known) => known === name)) throw invalid('it has a key that is none of the four');
    if (values.has(name)) throw invalid(`${spelt(name)} is there twice`);
    values.set(name, part.slice(equals + 1).trim());
  }
  const value = (name: (typeof names)[number]): string => {
    const found = values.get(name);
    if (!found) throw invalid(`${spelt(name)} is missing or empty`);
    return found;
  };
  const [host, tokenKey, tokenSecret, consumerKey] = names.map(value) as [string, string, string, string];
  return {
    url: rootUrl(/^https?:\/\//i.test(host) ? host : `http://${withPort(host)}/MAAS`),
    key: { consumerKey, tokenKey, tokenSecret: new Secret(tokenSecret) },
  };
}

/**
 * The root of a MAAS from any way to write it: with or without `/MAAS`, `/api/2.0`, and slashes at the end.
 * @throws CodedError `config.invalid`
 */
export function rootUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid('its address is not a URL');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw invalid('its address is neither http nor https');
  if (url.username || url.password || url.search || url.hash)
    throw invalid('its address has more than scheme, host, port and path');
  const path = url.pathname.replace(/\/+$/, '').replace(/\/api(\/2\.0)?$/, '');
  return `${url.protocol}//${url.host}${path === '' ? '/MAAS' : path}`;
}

function withPort(host: string): string {
  if (/^[^:]+:\d+$/.test(host) || /\]:\d+$/.test(host)) return host;
  return `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${defaultPort}`;
}

function spelt(name: string): string {
  return { maasip: 'MaasIP', maaskey: 'MaasKey', maassecret: 'MaasSecret' }[name] ?? 'MaasConsumerKey';
}

function invalid(what: string): CodedError {
  return new CodedError({
    code: 'config.invalid',
    retry: 'operator',
    what: `the connection to MAAS cannot be used: ${what}`,
    remedy: 'write endpoint and apiKey, or MaasIP=...;MaasKey=...;MaasSecret=...;MaasConsumerKey=...',
  });
}
