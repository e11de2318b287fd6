import type { IncomingMessage } from 'node:http';
import { readBytes, type BodyFault, type BodyLimits } from '../../kernel/net/read-bytes.ts';
import { MaasRefusal } from './maas-refusal.ts';

/** A request's address, taken apart. */
export interface Address {
  /** `http://host:5240`, as the client wrote it, or as a proxy says that it did. */
  readonly origin: string;
  /** As it came, still encoded. */
  readonly path: string;
  /** As it came, without `?`. */
  readonly query: string;
}

/** Where the client thinks that it sends to: HMAC covers it, and our links begin with it. */
export function addressOf(req: IncomingMessage): Address {
  const [, path = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/.exec(req.url ?? '') ?? [];
  const forwarded = firstOf(req.headers['x-forwarded-host']);
  const host = isHost(forwarded) ? forwarded : (req.headers.host ?? '');
  const proto = firstOf(req.headers['x-forwarded-proto']).toLowerCase();
  const encrypted = 'encrypted' in req.socket;
  const scheme = proto === 'http' || proto === 'https' ? proto : encrypted ? 'https' : 'http';
  if (!isHost(host)) throw new MaasRefusal(400, 'Bad Request: no usable Host header.');
  return { origin: `${scheme}://${host}`, path, query };
}

function firstOf(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header)?.split(',')[0]?.trim() ?? '';
}

function isHost(text: string): boolean {
  return /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(text);
}

/**
 * The whole body of a request.
 * @throws MaasRefusal 400, 408 or 413; the rest of the body is then not read
 */
export function readBody(req: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  // A small body may unpack to anything.
  if (encoding !== 'identity' && encoding !== '')
    throw new MaasRefusal(415, 'Bad Request: the body has a content-encoding.');
  return readBytes(req, limits, (fault) => refusalOf(fault, limits));
}

function refusalOf(fault: BodyFault, { bytes, timeout }: BodyLimits): MaasRefusal {
  switch (fault) {
    case 'too-large':
      return new MaasRefusal(413, `Bad Request: the body is larger than ${bytes} bytes.`);
    case 'cut-off':
      return new MaasRefusal(400, 'Bad Request: the body ended in the middle.');
    case 'too-slow':
      return new MaasRefusal(408, `Bad Request: the body did not arrive within ${timeout / 1_000} s.`);
    case 'no-room':
      return new MaasRefusal(503, 'Service Unavailable: too many bodies are being read.', 1);
  }
}
