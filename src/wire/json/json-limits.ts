/** How much a JSON text may ask of whoever reads it. */
export interface JsonLimits {
  /** Arrays and objects inside each other. */
  readonly depth: number;
  /** Values, keys not counted; each costs some fifty bytes of memory. */
  readonly values?: number;
}

/** Which limit a text is beyond. */
export type JsonExcess = 'depth' | 'values';

/** What clients send over HTTP is flat; deeper nesting is an attack on whoever walks through it. */
export const usualDepth = 32;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

/**
 * Looks at a text before anything is built of it, in one pass without recursion: parsers recurse, and build all before they tell. The
 * one place where nesting is counted, for every door. Says nothing about whether the text is JSON.
 * @returns the limit that the text is beyond first, or null
 */
export function jsonExcess(text: string, { depth: deepest, values: most }: JsonLimits): JsonExcess | null {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfJsonText(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        values += 1;
        depth += 1;
        if (depth > deepest) return 'depth';
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      case comma:
        values += 1;
        break;
    }
    if (most !== undefined && values > most) return 'values';
  }
  return null;
}

/**
 * Where the text in quotes ends that begins at `start`: the place of its closing quote, or the text's length where there is none. The next
 * quote is looked for by the machine's own search: sixteen million characters one by one are a tenth of a second in which nothing else is
 * served.
 */
export function endOfJsonText(text: string, start: number): number {
  const next = text.indexOf('"', start + 1);
  if (next < 0) return text.length;
  if (text.charCodeAt(next - 1) !== backslash) return next;
  // Escaped, unless the backslash is: from the beginning it is certain.
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) return at;
    if (code === backslash) at += 1;
  }
  return text.length;
}
