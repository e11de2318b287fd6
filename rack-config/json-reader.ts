import { mostFound } from './most-found.ts';

/** Where a value, or the key of a member, begins. Both count from 1; columns are UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The way from the root to a value: keys and list indexes. */
export type JsonPath = readonly (string | number)[];

/** A fault of the text itself. None quotes the text, which may be a password. */
export interface JsonFault extends Position {
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

export interface JsonReading {
  /** The value, as `JSON.parse` would give it; undefined when there are faults. */
  readonly value: unknown;
  readonly faults: readonly JsonFault[];
  /** Where the value at the path stands; for a path that leads nowhere, where its nearest container stands. */
  position(path: JsonPath): Position;
}

/** Far above any floor, low enough that a mistaken upload costs nothing. */
export const maxJsonBytes = 10 * 1024 * 1024;
/** Of 10,000 machines with four NICs it has 200,000; each costs memory, and the service does nothing else while it reads. */
const maxValues = 500_000;
/** The rack config is five levels deep; the reader recurses, so there must be an end. */
const maxDepth = 64;

/** Keys that reach an object's prototype in careless code further on. */
const refusedKeys = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Reads JSON (RFC 8259) and keeps where everything stands. Stricter than `JSON.parse` on duplicate keys, prototype keys,
 * depth, number and size; more lenient on a byte order mark. Never throws: what is wrong is in `faults`.
 */
export function readJson(text: string): JsonReading {
  const lines = new LineIndex(text);
  // The length check comes first because counting the bytes of a huge string takes time by itself.
  if (text.length > maxJsonBytes || Buffer.byteLength(text) > maxJsonBytes) {
    const fault = {
      ...lines.position(0),
      path: '',
      message: 'the file is larger than 10 MB',
      remedy: 'upload the rack config, which is a few KB for each rack',
    };
    return { value: undefined, faults: [fault], position: () => lines.position(0) };
  }
  const parser = new Parser(text, lines);
  let value: unknown;
  try {
    value = parser.document();
  } catch (thrown) {
    if (!(thrown instanceof SyntaxFault)) throw thrown;
    parser.faults.push(thrown.fault);
  }
  return {
    value: parser.faults.length === 0 ? value : undefined,
    faults: parser.faults,
    position: (path) => lines.position(parser.offsetOf(value, path)),
  };
}

/** `racks[0].hosts[2].mac` */
export function formatPath(path: JsonPath): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`))
    .join('');
}

/** Ends the reading: after a fault of the syntax nothing that follows can be trusted. */
class SyntaxFault extends Error {
  readonly fault: JsonFault;

  constructor(fault: JsonFault) {
    super(fault.message);
    this.fault = fault;
  }
}

const literals: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const space = /[ \t\n\r]*/y;

class Parser {
  readonly faults: JsonFault[] = [];
  readonly #text: string;
  readonly #lines: LineIndex;
  /** Of each container: key or index to the offset where that member begins. */
  readonly #places = new Map<object, Map<string | number, number>>();
  readonly #path: (string | number)[] = [];
  /** Offsets of the brackets that are open. */
  readonly #open: number[] = [];
  #at = 0;
  #values = 0;

  constructor(text: string, lines: LineIndex) {
    this.#text = text;
    this.#lines = lines;
    this.#at = lines.start;
  }

  document(): unknown {
    this.#space();
    if (this.#ended()) throw this.#fault('the file is empty', 'write {"racks": [ ... ]}');
    const value = this.#value();
    const after = this.#at;
    this.#space();
    if (this.#ended()) return value;
    if (this.#peek === ':' && typeof value === 'string') {
      throw this.#fault(
        'the file begins with a key: the opening { is missing',
        'put { before the first key and } at the end of the file',
        0,
      );
    }
    if (this.#peek === '}' || this.#peek === ']') {
      throw this.#fault(
        `there is one ${this.#peek} too many`,
        'remove it, or add the bracket that it closes',
      );
    }
    throw this.#unexpected(after, 'text follows the end of the JSON value', 'remove what follows');
  }

  offsetOf(root: unknown, path: JsonPath): number {
    let offset = 0;
    let value = root;
    for (const part of path) {
      const next = typeof value === 'object' && value ? this.#places.get(value)?.get(part) : undefined;
      if (next === undefined) break;
      offset = next;
      value = (value as Record<string | number, unknown>)[part];
    }
    return offset;
  }

  #value(): unknown {
    this.#values += 1;
    if (this.#values > maxValues) {
      throw this.#fault(
        `more than ${maxValues} values are in the file`,
        'upload the rack config, which has some five for each NIC',
      );
    }
    const first = this.#peek;
    if (first === '{') return this.#object();
    if (first === '[') return this.#array();
    if (first === '"') return this.#string();
    for (const [word, value] of literals) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    numberToken.lastIndex = this.#at;
    const number = numberToken.exec(this.#text)?.[0];
    if (number === undefined) throw this.#notAValue();
    const start = this.#at;
    this.#at += number.length;
    // `1/1/1`, `01`, `1.` and `00:18:..` begin like a number and go on.
    if (/[^\s,}\]]/.test(this.#peek)) {
      throw this.#fault('the value is not a number', 'put text in double quotes, for example "1/1/1"', start);
    }
    return Number(number);
  }

  #object(): unknown {
    const object: Record<string, unknown> = {};
    const places = new Map<string | number, number>();
    this.#places.set(object, places);
    this.#enter();
    if (!this.#take('}')) {
      for (;;) {
        this.#expectKey();
        const keyAt = this.#at;
        const key = this.#string();
        this.#path.push(key);
        this.#checkKey(key, keyAt, places.get(key));
        const keyEnd = this.#at;
        this.#space();
        if (!this.#take(':')) {
          throw this.#unexpected(keyEnd, 'the ":" after a key is missing', 'write "key": value');
        }
        this.#space();
        const value = this.#value();
        if (!refusedKeys.has(key)) object[key] = value;
        places.set(key, keyAt);
        this.#path.pop();
        if (!this.#another('}')) break;
      }
    }
    this.#open.pop();
    return object;
  }

  #array(): unknown {
    const array: unknown[] = [];
    const places = new Map<string | number, number>();
    this.#places.set(array, places);
    this.#enter();
    if (!this.#take(']')) {
      for (;;) {
        this.#path.push(array.length);
        places.set(array.length, this.#at);
        const start = this.#at;
        const value = this.#value();
        this.#path.pop();
        array.push(value);
        const end = this.#at;
        this.#space();
        if (this.#peek === ':' && typeof value === 'string') {
          throw this.#fault(
            'a key stands in a list: the { before it is missing',
            'put { before the key',
            start,
          );
        }
        this.#at = end;
        if (!this.#another(']')) break;
      }
    }
    this.#open.pop();
    return array;
  }

  #enter(): void {
    if (this.#open.length >= maxDepth) {
      throw this.#fault(`more than ${maxDepth} levels are nested`, 'write the levels of a rack config only');
    }
    this.#open.push(this.#at);
    this.#at += 1;
    this.#space();
  }

  /** After a member: true when a comma says that another follows, false at the closing bracket. */
  #another(close: '}' | ']'): boolean {
    const end = this.#at;
    this.#space();
    if (this.#take(close)) return false;
    const comma = this.#at;
    if (this.#take(',')) {
      this.#space();
      if (this.#peek === '}' || this.#peek === ']') {
        throw this.#fault('a comma stands before a closing bracket', 'remove the comma', comma);
      }
      return true;
    }
    if (this.#peek === '}' || this.#peek === ']') {
      const open = this.#open.at(-1)!;
      throw this.#fault(
        `${this.#peek} cannot close the ${this.#text[open]!} opened in line ${this.#line(open)}`,
        `add ${close} before it, or the { or [ that it closes`,
      );
    }
    throw this.#unexpected(
      end,
      'the comma after a value is missing',
      `write "," or "${close}" after the value`,
    );
  }

  #expectKey(): void {
    if (this.#peek === '"') return;
    if (this.#peek === '{' || this.#peek === '[') {
      throw this.#fault('a value stands where a key is expected', 'write "key": before it');
    }
    throw this.#unexpected(this.#at, 'a key is expected', 'write the key in double quotes');
  }

  #checkKey(key: string, offset: number, earlier: number | undefined): void {
    if (earlier !== undefined) {
      const message = `the key ${quote(key)} stands twice, first in line ${this.#line(earlier)}`;
      this.faults.push(this.#faultAt(offset, message, 'remove one of the two'));
    }
    if (refusedKeys.has(key)) {
      this.faults.push(this.#faultAt(offset, `the key ${quote(key)} is not allowed`, 'remove it'));
    }
    if (this.faults.length >= mostFound) throw new SyntaxFault(this.faults.pop()!);
  }

  #string(): string {
    const start = this.#at;
    let result = '';
    this.#at += 1;
    for (;;) {
      const from = this.#at;
      while (isPlain(this.#text.charCodeAt(this.#at))) this.#at += 1;
      result += this.#text.slice(from, this.#at);
      const next = this.#peek;
      if (next === '"') {
        this.#at += 1;
        return result;
      }
      if (next !== '\\') {
        if (next === '' || next === '\n' || next === '\r') {
          throw this.#fault(
            'the text is not closed at the end of its line',
            'add the closing double quote',
            start,
          );
        }
        throw this.#fault('a text contains a control character', 'remove it, or write it as \\t or \\u0000');
      }
      result += this.#escape();
    }
  }

  #escape(): string {
    const name = this.#text[this.#at + 1] ?? '';
    const simple = Object.hasOwn(escapes, name) ? escapes[name] : undefined;
    if (simple !== undefined) {
      this.#at += 2;
      return simple;
    }
    const digits = this.#text.slice(this.#at + 2, this.#at + 6);
    if (name !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) {
      throw this.#fault(
        'a backslash in a text begins nothing that JSON knows',
        'write \\\\ for a backslash itself',
      );
    }
    this.#at += 6;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #notAValue(): SyntaxFault {
    if (this.#peek === '}' || this.#peek === ']' || this.#peek === ',') {
      return this.#fault(
        `a value is expected before "${this.#peek}"`,
        'write the value, or remove its key or comma',
      );
    }
    return this.#unexpected(
      this.#at,
      'this is not a JSON value',
      'put text in double quotes; write true, false and null in lower case',
    );
  }

  /** The fault at `offset`, unless what stands at the reading position has an explanation of its own. */
  #unexpected(offset: number, message: string, remedy: string): SyntaxFault {
    if (this.#ended()) {
      const open = this.#open.at(-1);
      if (open === undefined) return this.#fault(message, remedy, offset);
      const bracket = this.#text[open]!;
      return this.#fault(
        `the file ends, but the ${bracket} opened in line ${this.#line(open)} is not closed`,
        `add the missing ${bracket === '{' ? '}' : ']'}`,
      );
    }
    if (this.#peek === "'") return this.#fault('a single quote stands here', 'use double quotes');
    if (this.#peek === '/' || this.#peek === '#') {
      return this.#fault('JSON has no comments', 'remove the comment');
    }
    return this.#fault(message, remedy, offset);
  }

  #fault(message: string, remedy: string, offset = this.#at): SyntaxFault {
    return new SyntaxFault(this.#faultAt(offset, message, remedy));
  }

  #faultAt(offset: number, message: string, remedy: string): JsonFault {
    return { ...this.#lines.position(offset), path: formatPath(this.#path), message, remedy };
  }

  #line(offset: number): number {
    return this.#lines.position(offset).line;
  }

  #space(): void {
    space.lastIndex = this.#at;
    this.#at += space.exec(this.#text)![0].length;
  }

  #take(char: string): boolean {
    if (this.#peek !== char) return false;
    this.#at += 1;
    return true;
  }

  get #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #ended(): boolean {
    return this.#at >= this.#text.length;
  }
}

/** A character that stands for itself in a JSON text; false past the end, where `charCodeAt` gives NaN. */
function isPlain(code: number): boolean {
  return code >= 0x20 && code !== 0x22 && code !== 0x5c;
}

/** Offsets to lines and columns; `\n`, `\r\n` and a lone `\r` end a line. */
class LineIndex {
  /** 1 after a byte order mark, which Windows editors put in front. */
  readonly start: number;
  readonly #text: string;
  #starts: number[] | undefined;

  constructor(text: string) {
    this.#text = text;
    this.start = text.startsWith('\uFEFF') ? 1 : 0;
  }

  position(offset: number): Position {
    if (offset <= this.start) return { line: 1, column: 1 };
    this.#starts ??= this.#index();
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#starts[low]! + 1 };
  }

  #index(): number[] {
    const starts = [this.start];
    for (const match of this.#text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
    return starts;
  }
}

/** A key for a message: escaped and cut, so that it can neither break a terminal nor flood a log. */
function quote(key: string): string {
  return JSON.stringify(key.length > 64 ? `${key.slice(0, 64)}...` : key);
}
