import { LosslessNumber } from 'lossless-json';
import { endOfJsonText } from '../json/json-limits.ts';
import { maxJsonDepth, maxNumberLength } from './limits.ts';

/** Where the text stops being JSON; counts from 0. */
export class GsonFault extends Error {
  readonly at: number;

  constructor(at: number) {
    super('not JSON');
    this.at = at;
  }
}

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/;
/** JSON (RFC 8259) wants control characters escaped. */
// eslint-disable-next-line no-control-regex
const noPlainText = /[\\\u0000-\u001f]/;
const words: readonly (readonly [string, boolean | null])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

/**
 * Parses JSON with its numbers as written: 64-bit ids are beyond what JavaScript's numbers hold. Of a repeated key the last value
 * counts, and `__proto__` is a key like others. Texts are cut out whole, where lossless-json puts them together character by character:
 * a body of 16 MiB that is one text took its parser two seconds, in which nothing else is served.
 * @throws GsonFault
 */
export function parseGson(text: string): unknown {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.end();
  return value;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): unknown {
    this.#skipSpace();
    const sign = this.#text[this.#at];
    if (sign === '"') return this.#string();
    if (sign === '{') return this.#object(depth + 1);
    if (sign === '[') return this.#array(depth + 1);
    for (const [word, value] of words)
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    return this.#number();
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#fault();
  }

  #object(depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#enter(depth);
    if (this.#take('}')) return object;
    do {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') throw this.#fault();
      const key = this.#string();
      if (!this.#take(':')) throw this.#fault();
      const value = this.value(depth);
      // Set as what it is: an assignment would go to the prototype.
      if (key === '__proto__')
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      else object[key] = value;
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#fault();
    return object;
  }

  #array(depth: number): unknown[] {
    const array: unknown[] = [];
    this.#enter(depth);
    if (this.#take(']')) return array;
    do array.push(this.value(depth));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#fault();
    return array;
  }

  #string(): string {
    const start = this.#at;
    const end = endOfJsonText(this.#text, start);
    if (end >= this.#text.length) throw this.#fault();
    this.#at = end + 1;
    const plain = this.#text.slice(start + 1, end);
    if (!noPlainText.test(plain)) return plain;
    try {
      return JSON.parse(this.#text.slice(start, end + 1)) as string;
    } catch {
      throw new GsonFault(start);
    }
  }

  #number(): LosslessNumber {
    const written = number.exec(this.#text.slice(this.#at, this.#at + maxNumberLength))?.[0];
    if (written === undefined) throw this.#fault();
    this.#at += written.length;
    return new LosslessNumber(written);
  }

  #enter(depth: number): void {
    if (depth > maxJsonDepth) throw this.#fault();
    this.#at += 1;
  }

  #take(sign: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }

  #skipSpace(): void {
    const text = this.#text;
    let at = this.#at;
    for (; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) break;
    }
    this.#at = at;
  }

  #fault(): GsonFault {
    return new GsonFault(this.#at);
  }
}
