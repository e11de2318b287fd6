import { MalformedForm, tooManyFields, type Form, type FormFile, type FormLimits } from './form.ts';
import { parseMediaType } from './media-type.ts';

const lf = 0x0a;
const cr = 0x0d;

/**
 * The parts of a `multipart/form-data` body as the `maas` command and libmaas write them: base64 by
 * `Content-Transfer-Encoding`, numbers as `application/octet-stream` without a file name (Django's rule: only a file name makes
 * a file), and, where there is nothing to say, one part without headers and content.
 * @throws MalformedForm
 */
export function parseMultipart(boundary: string, bytes: Buffer, limits: FormLimits): Form {
  if (boundary === '' || boundary.length > 200)
    throw new MalformedForm('the content type names no usable boundary');
  const delimiter = Buffer.from(`--${boundary}`);
  const entries: (readonly [string, string])[] = [];
  const files = new Map<string, FormFile>();
  let at = findDelimiter(bytes, delimiter, 0);
  if (!at) throw new MalformedForm('the boundary is not in the body');
  while (!at.last) {
    if (entries.length + files.size >= limits.fields) throw tooManyFields(limits);
    const { headers, end } = readHeaders(bytes, at.next, limits);
    // Of a part that is empty, the line end before the next boundary is the one that ended its headers.
    const next = findDelimiter(bytes, delimiter, end - 1);
    if (!next) throw new MalformedForm('the body ends in the middle of a part');
    const content = bytes.subarray(end, Math.max(end, next.start));
    const { parameters } = parseMediaType(headers.get('content-disposition') ?? '');
    const name = parameters.get('name');
    if (name !== undefined) {
      const filename = parameters.get('filename');
      const decoded = decode(content, headers.get('content-transfer-encoding') ?? '');
      if (filename === undefined) entries.push([name, decoded.toString()]);
      else files.set(name, { filename, bytes: decoded });
    }
    at = next;
  }
  return { entries, files };
}

interface Delimiter {
  /** Where the content before it ends. */
  readonly start: number;
  /** Where the next part begins. */
  readonly next: number;
  readonly last: boolean;
}

/** The next boundary line: at the body's beginning or after a line end, and with nothing but blanks behind it. */
function findDelimiter(bytes: Buffer, delimiter: Buffer, from: number): Delimiter | null {
  for (let at = bytes.indexOf(delimiter, from); at >= 0; at = bytes.indexOf(delimiter, at + 1)) {
    if (at > 0 && bytes[at - 1] !== lf) continue;
    const start = at > 1 && bytes[at - 2] === cr ? at - 2 : Math.max(0, at - 1);
    let next = at + delimiter.length;
    if (bytes[next] === 0x2d && bytes[next + 1] === 0x2d) return { start, next, last: true };
    while (bytes[next] === 0x20 || bytes[next] === 0x09) next += 1;
    if (bytes[next] === cr) next += 1;
    if (bytes[next] === lf) return { start, next: next + 1, last: false };
  }
  return null;
}

/** The headers of a part, by name in lower case, and where its content begins. */
function readHeaders(
  bytes: Buffer,
  from: number,
  limits: FormLimits,
): { readonly headers: ReadonlyMap<string, string>; readonly end: number } {
  const headers = new Map<string, string>();
  let name = '';
  let start = from;
  for (;;) {
    const lineEnd = bytes.indexOf(lf, start);
    if (lineEnd < 0) throw new MalformedForm('the body ends in the middle of a part');
    if (lineEnd - from > limits.headerBytes)
      throw new MalformedForm(`the headers of a part are longer than ${limits.headerBytes} bytes`);
    const line = bytes.toString('utf8', start, lineEnd).replace(/\r$/, '');
    start = lineEnd + 1;
    if (line === '') return { headers, end: start };
    if (/^[ \t]/.test(line)) headers.set(name, `${headers.get(name) ?? ''} ${line.trim()}`);
    else {
      const colon = line.indexOf(':');
      if (colon <= 0) throw new MalformedForm('a part has a header that is none');
      name = line.slice(0, colon).trim().toLowerCase();
      headers.set(name, line.slice(colon + 1).trim());
    }
  }
}

function decode(content: Buffer, encoding: string): Buffer {
  switch (encoding.trim().toLowerCase()) {
    case '':
    case '7bit':
    case '8bit':
    case 'binary':
      return content;
    case 'base64': {
      const text = content.toString('latin1').replaceAll(/[\r\n\t ]/g, '');
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.replace(/=+$/, '').length % 4 === 1)
        throw new MalformedForm('a part is not the base64 that it is said to be');
      return Buffer.from(text, 'base64');
    }
    default:
      throw new MalformedForm('a part has a transfer encoding that is not known');
  }
}
