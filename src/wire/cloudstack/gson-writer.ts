/** JSON text that is written as it stands. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What the writer takes. `null` and `undefined` members are left out, as Gson does. */
export type GsonValue =
  string | boolean | number | bigint | null | undefined | RawJson | readonly GsonValue[] | GsonObject;
export interface GsonObject {
  readonly [key: string]: GsonValue;
}

export interface GsonStyle {
  /**
   * `escaped` writes everything beyond ASCII as \uXXXX, which survives a server whose JVM runs in another charset; `utf8` writes it as
   * it is, like Java does.
   */
  readonly nonAscii: 'escaped' | 'utf8';
}

/**
 * Writes JSON as the server's Gson does: HTML characters and line separators escaped, null members absent.
 * @throws RangeError for a number that is not a safe integer: those must come as bigint or raw text.
 */
export function gsonText(value: GsonValue, style: GsonStyle): string {
  if (value === null || value === undefined) return 'null';
  if (value instanceof RawJson) return value.text;
  switch (typeof value) {
    case 'string':
      return gsonString(value, style);
    case 'boolean':
    case 'bigint':
      return value.toString();
    case 'number':
      if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer`);
      return value.toString();
    default:
  }
  if (isArray(value)) return `[${value.map((element) => gsonText(element, style)).join(',')}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== null && member !== undefined)
    .map(([key, member]) => `${gsonString(key, style)}:${gsonText(member, style)}`);
  return `{${members.join(',')}}`;
}

function isArray(value: readonly GsonValue[] | GsonObject): value is readonly GsonValue[] {
  return Array.isArray(value);
}

const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\t': '\\t',
  '\b': '\\b',
  '\n': '\\n',
  '\r': '\\r',
  '\f': '\\f',
};
// eslint-disable-next-line no-control-regex -- control characters are what has to be escaped
const special = /["\\<>&='\u0000-\u001f\u2028\u2029]/g;
// eslint-disable-next-line no-control-regex -- control characters are what has to be escaped
const specialOrNonAscii = /["\\<>&='\u0000-\u001f\u007f-\uffff]/g;

function gsonString(text: string, style: GsonStyle): string {
  const escaped = text.replaceAll(
    style.nonAscii === 'utf8' ? special : specialOrNonAscii,
    (char) => short[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `"${escaped}"`;
}
