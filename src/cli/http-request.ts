import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import type { Trust } from './credentials.ts';

/** Chains and names that do not hold, by Node's names of them. */
const untrusted =
  /^(CERT_|ERR_TLS_CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)/;

export interface Sent {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Begins a request by `node:http`: fetch can be told neither a CA nor to wait for longer than five minutes. Nothing is
 * redirected.
 */
export function openRequest(
  url: URL,
  { ca, insecure }: Trust,
  { method, headers, signal }: Omit<Sent, 'body'>,
): http.ClientRequest {
  const options = { method, headers, ...(signal && { signal }) };
  if (url.protocol === 'http:') return http.request(url, options);
  return https.request(url, {
    ...options,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !insecure,
    ...(ca !== null && { ca }),
  });
}

/** Sends it and gives the answer as soon as its head is there. Rejects with what the socket said, or the signal's reason. */
export function sendRequest(url: URL, trust: Trust, { body, ...sent }: Sent): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = openRequest(url, trust, sent);
    request.once('response', resolve).once('error', reject);
    request.end(body);
  });
}

/** Reads an answer to its end. */
export function textOf(answer: http.IncomingMessage): Promise<string> {
  return text(answer);
}

/** Whether the connection failed because of the certificate that was shown. */
export function isUntrusted(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && untrusted.test(String(thrown.code));
}
