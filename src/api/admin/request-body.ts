import type { IncomingMessage } from 'node:http';
import type { JsonValue } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { Throttled } from '../../kernel/errors/throttled.ts';
import { readBytes, type BodyFault, type BodyLimits } from '../../kernel/net/read-bytes.ts';
import { jsonExcess, usualDepth } from '../../wire/json/json-limits.ts';

/**
 * The JSON of a request, or undefined where it has no body. Nothing of the body is repeated in an error: it may be a secret.
 * @throws ServiceError `request.invalid`
 */
export async function readJson(req: IncomingMessage, limits: BodyLimits): Promise<JsonValue | undefined> {
  const text = await readText(req, limits);
  if (text === '') return undefined;
  const type = (req.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json')
    throw invalid('the body is not said to be JSON', 'send content-type: application/json');
  if (jsonExcess(text, { depth: usualDepth }) !== null)
    throw invalid(`the body is nested deeper than ${usualDepth} levels`);
  try {
    return JSON.parse(text, (key, value: JsonValue) => {
      // As a key it would mean something to JavaScript that JSON does not say.
      if (key === '__proto__') throw invalid('"__proto__" is not a key here');
      return value;
    }) as JsonValue;
  } catch (thrown) {
    if (thrown instanceof ServiceError) throw thrown;
    const at = /position (\d+)/.exec((thrown as Error).message)?.[1];
    throw invalid(`the body is not JSON${at === undefined ? '' : `: see character ${Number(at) + 1}`}`);
  }
}

/** @throws ServiceError `request.invalid` */
export async function readText(req: IncomingMessage, limits: BodyLimits): Promise<string> {
  refuseEncoding(req);
  const bytes = await readBytes(req, limits, (fault) => refusal(fault, limits));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('the body is not UTF-8');
  }
}

/** A small body may unpack to anything: nothing is unpacked here. */
export function refuseEncoding(req: IncomingMessage): void {
  const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding !== 'identity' && encoding !== '')
    throw invalid('the body has a content-encoding', 'send the body as it is, without content-encoding');
}

function refusal(fault: BodyFault, { bytes, timeout }: BodyLimits): ServiceError {
  switch (fault) {
    case 'too-large':
      return invalid(`the body is too large: ${bytes} bytes are the most`);
    case 'cut-off':
      return invalid('the body ended in the middle');
    case 'too-slow':
      return invalid(`the body did not arrive within ${timeout / 1_000} s`);
    case 'no-room':
      return new Throttled('service.overloaded', 1_000, { what: 'too many bodies are being read' });
  }
}

function invalid(what: string, remedy?: string): ServiceError {
  return new ServiceError({ code: 'request.invalid', what, ...(remedy !== undefined && { remedy }) });
}
