import { frameError } from './frame-error.ts';
import { maxJsonDepth, maxJsonValues } from './limits.ts';

/** A member of an object as raw text: what is echoed must not pass through a parser. */
export interface JsonMember {
  readonly key: string;
  /** The member's value exactly as it stood. */
  readonly text: string;
}

/**
 * The members of a JSON object in order, values as raw slices of the text.
 * @throws ServiceError `agent.frame` when the text is not one object. Insides of the values are not validated beyond their nesting.
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

/** Walks JSON text without recursion and without making values. */
class Scanner {
  readonly #text: string;
  #at = 0;
  #values = 0;

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
    this.#skipString();
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch (error) {
      throw frameError(`the body is not JSON: bad key at character ${start}`, error);
    }
  }

  value(): string {
    this.#skipSpace();
    const start = this.#at;
    this.#count();
    let depth = 0;
    do {
      const char = this.#text[this.#at];
      if (char === undefined) throw frameError('the body is not JSON: it ends inside a value');
      if (char === '"') {
        this.#skipString();
        continue;
      }
      if (depth === 0 && (char === ',' || char === '}' || char === ']')) break;
      if (char === ',' || char === '{' || char === '[') this.#count();
      if (char === '{' || char === '[') depth += 1;
      if (char === '}' || char === ']') depth -= 1;
      if (depth > maxJsonDepth) throw frameError(`the body is nested deeper than ${maxJsonDepth} levels`);
      this.#at += 1;
    } while (depth > 0 || !this.#atDelimiter());
    const slice = this.#text.slice(start, this.#at).trimEnd();
    if (slice === '') throw frameError(`the body is not JSON: value expected at character ${start}`);
    return slice;
  }

  /** One more value, or what comes before one. */
  #count(): void {
    this.#values += 1;
    if (this.#values > maxJsonValues) throw frameError(`the body has more than ${maxJsonValues} values`);
  }

  #atDelimiter(): boolean {
    const char = this.#text[this.#at];
    return char === undefined || char === ',' || char === '}' || char === ']';
  }

  #skipString(): void {
    this.#at += 1;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw frameError('the body is not JSON: it ends inside a string');
      this.#at += char === '\\' ? 2 : 1;
      if (char === '"') return;
    }
  }

  #skipSpace(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1;
  }
}
