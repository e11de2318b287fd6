import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Terminal } from './terminal.ts';

export const defaultUrl = 'http://127.0.0.1:8440';

/** Where the service is, and who we are there. */
export interface Target {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: Secret;
  readonly trust: Trust;
}

/** Which certificates of an https service are believed. */
export interface Trust {
  /** PEM of the CAs that are, instead of the well-known ones; null = those. */
  readonly ca: string | null;
  /** Any certificate is: only ever because a person said so in this very call. */
  readonly insecure: boolean;
}

export interface TargetOptions {
  readonly url?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly ca?: string | undefined;
  readonly insecure?: true | undefined;
}

/**
 * Finds the service: `--url`, `CSBM_URL`, the local csbm.yaml, the default; and a token for it: `--token-file`, `CSBM_TOKEN`,
 * `CSBM_TOKEN_FILE`, the token file of the local csbm.yaml. The last is this machine's administrator and is never sent to
 * another one. What is believed of an https service: `--ca`, `CSBM_CA`, else the well-known CAs.
 * @throws ServiceError `cli.usage`, `request.unauthenticated`, `config.invalid`
 */
export async function findTarget(options: TargetOptions, terminal: Terminal): Promise<Target> {
  return { ...(await findService(options, terminal)), trust: trustOf(options, terminal) };
}

function trustOf(options: TargetOptions, { cwd, env }: Terminal): Trust {
  const insecure = options.insecure === true;
  const file = options.ca ?? (env['CSBM_CA'] || undefined);
  if (file === undefined) return { ca: null, insecure };
  const path = resolve(cwd, file);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw unusableCa(path, `cannot be read (${why})`);
  }
  // Without this an empty file would mean that nobody is trusted, and say so only as a failed handshake.
  if (!/-----BEGIN CERTIFICATE-----/.test(text)) throw unusableCa(path, 'holds no certificate in PEM');
  return { ca: text, insecure };
}

function unusableCa(path: string, what: string): ServiceError {
  return new ServiceError({
    code: 'cli.failed',
    what: `the CA file ${what}`,
    where: path,
    remedy: 'name the PEM file of the CA that issued the certificate of the service: --ca or CSBM_CA',
  });
}

async function findService(options: TargetOptions, terminal: Terminal): Promise<Omit<Target, 'trust'>> {
  const { env } = terminal;
  const given = options.url ?? (env['CSBM_URL'] || undefined);
  const file = options.tokenFile ?? (env['CSBM_TOKEN'] ? undefined : env['CSBM_TOKEN_FILE'] || undefined);
  const token = options.tokenFile === undefined ? env['CSBM_TOKEN'] || undefined : undefined;
  const known = file === undefined ? token : readToken(resolve(terminal.cwd, file));
  if (given !== undefined && known !== undefined) return { url: checkUrl(given), token: checkToken(known) };

  const local = await localConfig(terminal);
  const url = checkUrl(given ?? localUrl(local));
  if (known !== undefined) return { url, token: checkToken(known) };
  const { tokenFile } = local.config.admin;
  if (given !== undefined && !isLoopback(url)) {
    throw new ServiceError({
      code: 'request.unauthenticated',
      what: 'there is no token for this service',
      where: url,
      remedy: 'set CSBM_TOKEN, or name a file with --token-file or CSBM_TOKEN_FILE',
    });
  }
  return { url, token: checkToken(readToken(tokenFile)) };
}

async function localConfig({ cwd, env }: Terminal): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config/load-config.ts');
  return loadConfig({ cwd, env });
}

/** A service that listens on all addresses is reached by loopback. */
function localUrl({ config: { http } }: LoadedConfig): string {
  if (http.port === 0) return defaultUrl;
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[http.host] ?? http.host;
  const scheme = http.tls.certFile === undefined ? 'http' : 'https';
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${http.port}`;
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash)
    return text.replace(/\/+$/, '');
  throw new ServiceError({
    code: 'cli.usage',
    what: 'the URL of the service is misspelt',
    remedy: 'write http://HOST:PORT or https://HOST:PORT',
  });
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ServiceError({
      code: 'request.unauthenticated',
      what: `there is no token: the file cannot be read (${why})`,
      where: file,
      remedy: 'set CSBM_TOKEN, name a file with --token-file or CSBM_TOKEN_FILE, or run where csbm.yaml lies',
      cause,
    });
  }
}

/** Never repeats what it was given. */
function checkToken(text: string): Secret {
  if (/^[\x21-\x7e]{1,512}$/.test(text)) return new Secret(text);
  throw new ServiceError({
    code: 'request.unauthenticated',
    what: 'what was given as token is none',
    remedy: 'a token is one line of letters, digits and signs',
  });
}
