import { endOfJsonText } from '../json/json-limits.ts';
import { frameError } from './frame-error.ts';

/** A member of an object as raw text: what is echoed must not pass through a parser. */
export interface JsonMember {
  readonly key: string;
  /** The member's value exactly as it stood. */
  readonly text: string;
}

/**
 * The members of a JSON object in order, values as raw slices of the text.
 * @throws ServiceError `agent.frame` when the text is not one object. Insides of the values are not looked at.
 */
export function objectMembers(text: string): JsonMember[] {
  const members: JsonMember[] = [];
  const scanner = new Scanner(text);
  scanner.expect('{');
  if (scanner.take('}')) {
    scanner.end();
    return members;
  }
  do {
    const key = scanner.key();
    scanner.expect(':');
    members.push({ key, text: scanner.value() });
  } while (scanner.take(','));
  scanner.expect('}');
  scanner.end();
  return members;
}

/**
 * The elements of a JSON array as raw slices of the text.
 * @throws ServiceError `agent.frame` when the text is not one array.
 */
export function arrayElements(text: string): string[] {
  const elements: string[] = [];
  const scanner = new Scanner(text);
  scanner.expect('[');
  if (scanner.take(']')) {
    scanner.end();
    return elements;
  }
  do elements.push(scanner.value());
  while (scanner.take(','));
  scanner.expect(']');
  scanner.end();
  return elements;
}

const code = {
  quote: 0x22,
  comma: 0x2c,
  openArray: 0x5b,
  closeArray: 0x5d,
  open: 0x7b,
  close: 0x7d,
} as const;

/** Walks JSON text without recursion and without making values. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  take(char: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== char) return false;
    this.#at += 1;
    return true;
  }

  expect(char: string): void {
    if (!this.take(char))
      throw frameError(`the body is not JSON: "${char}" expected at character ${this.#at}`);
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length)
      throw frameError(`the body goes on after its end at character ${this.#at}`);
  }

  key(): string {
    this.#skipSpace();
    const start = this.#at;
    if (this.#text[start] !== '"')
      throw frameError(`the body is not JSON: key expected at character ${start}`);
    this.#at = this.#afterString(start);
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch (error) {
      throw frameError(`the body is not JSON: bad key at character ${start}`, error);
    }
  }

  value(): string {
    this.#skipSpace();
    const text = this.#text;
    const start = this.#at;
    let at = start;
    let depth = 0;
    for (;;) {
      if (at >= text.length) throw frameError('the body is not JSON: it ends inside a value');
      const sign = text.charCodeAt(at);
      const closes = sign === code.close || sign === code.closeArray;
      if (depth === 0 && (closes || sign === code.comma)) break;
      if (sign === code.quote) {
        at = this.#afterString(at);
        continue;
      }
      if (sign === code.open || sign === code.openArray) depth += 1;
      else if (closes) depth -= 1;
      at += 1;
    }
    this.#at = at;
    const slice = text.slice(start, at).trimEnd();
    if (slice === '') throw frameError(`the body is not JSON: value expected at character ${start}`);
    return slice;
  }

  #afterString(start: number): number {
    const end = endOfJsonText(this.#text, start);
    if (end >= this.#text.length) throw frameError('the body is not JSON: it ends inside a string');
    return end + 1;
  }

  #skipSpace(): void {
    const text = this.#text;
    let at = this.#at;
    for (; at < text.length; at += 1) {
      const sign = text.charCodeAt(at);
      if (sign !== 0x20 && sign !== 0x09 && sign !== 0x0a && sign !== 0x0d) break;
    }
    this.#at = at;
  }
}
