import http from 'node:http';
import type { Duration } from '../../plugin-api/index.ts';
import type { Fabric } from '../network/index.ts';
import type { LabNic } from './lab-nic.ts';

/** The machine's half of an HTTP conversation: which NIC it goes out by, untagged, and how patient it is. */
export interface HttpPath {
  readonly fabric: Fabric;
  readonly nic: LabNic;
  /** Without a sign of life for this long the call fails. */
  readonly silence: Duration;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Sends a request over the fabric and gives back the answer with its body still to be read. One connection per call.
 * @throws Error when there is no path, the connection breaks, or nothing is heard for too long.
 */
export function openCall(
  path: HttpPath,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const url = new URL(request.url);
  const port = url.port === '' ? 80 : Number(url.port);
  const service = path.fabric.serviceAt(url.hostname, port);
  return new Promise((resolve, reject) => {
    if (!service) return reject(new Error(`nobody on the network has the address ${url.host}`));
    const call = http.request(
      {
        method: request.method,
        host: url.hostname,
        port,
        path: `${url.pathname}${url.search}`,
        headers: {
          ...request.headers,
          ...(request.body === undefined
            ? {}
            : { 'content-length': String(Buffer.byteLength(request.body)) }),
        },
        createConnection: () => path.fabric.connect(path.nic, service, null),
        signal,
      },
      resolve,
    );
    call.setTimeout(path.silence, () => call.destroy(new Error('no answer in time')));
    call.once('error', reject);
    call.end(request.body);
  });
}

/** Sends a request and reads the whole answer. @throws Error as {@link openCall}, and when the answer is cut. */
export async function httpCall(
  path: HttpPath,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const answer = await openCall(path, request, signal);
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) };
}
