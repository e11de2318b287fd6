import type { IncomingMessage } from 'node:http';
import type { JsonValue } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { readBytes, type BodyFault, type BodyLimits } from '../../kernel/net/read-bytes.ts';

/** What the API takes is flat; deeper nesting is an attack on whoever walks through it. */
const deepest = 32;

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
  const depth = depthOf(text);
  if (depth > deepest) throw invalid(`the body is nested deeper than ${deepest} levels`);
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
  const bytes = await readBytes(req, limits, (fault) => invalid(faultText(fault, limits)));
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

function faultText(fault: BodyFault, { bytes, timeout }: BodyLimits): string {
  switch (fault) {
    case 'too-large':
      return `the body is too large: ${bytes} bytes are the most`;
    case 'cut-off':
      return 'the body ended in the middle';
    case 'too-slow':
      return `the body did not arrive within ${timeout / 1_000} s`;
  }
}

/** How deep arrays and objects lie in each other, without building any. */
function depthOf(json: string): number {
  let depth = 0;
  let deepestSeen = 0;
  let inText = false;
  for (let i = 0; i < json.length; i += 1) {
    const sign = json[i];
    if (inText) {
      if (sign === '\\') i += 1;
      else if (sign === '"') inText = false;
    } else if (sign === '"') inText = true;
    else if (sign === '{' || sign === '[') deepestSeen = Math.max(deepestSeen, (depth += 1));
    else if (sign === '}' || sign === ']') depth -= 1;
  }
  return deepestSeen;
}

function invalid(what: string, remedy?: string): ServiceError {
  return new ServiceError({ code: 'request.invalid', what, ...(remedy !== undefined && { remedy }) });
}
