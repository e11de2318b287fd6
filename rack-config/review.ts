import { z } from 'zod';
import { formatPath, type JsonPath, type JsonReading } from './json-reader.ts';
import { mostFound } from './most-found.ts';
import type { RackProblem } from './rack-config-error.ts';
import type { RackWarning } from './rack-config.ts';

/** What is found while a document is checked, each with its place. No text here quotes a value: it may be a password. */
export class Review {
  readonly #problems: RackProblem[] = [];
  readonly #warnings: RackWarning[] = [];
  readonly #reading: JsonReading;

  constructor(reading: JsonReading) {
    this.#reading = reading;
  }

  get problems(): readonly RackProblem[] {
    return this.#problems.toSorted(byPlace);
  }

  get warnings(): readonly RackWarning[] {
    return this.#warnings.toSorted(byPlace);
  }

  /** There are as many problems as are told: to look for more would be in vain. */
  get full(): boolean {
    return this.#problems.length >= mostFound;
  }

  line(path: JsonPath): number {
    return this.#reading.position(path).line;
  }

  problem(path: JsonPath, message: string, remedy: string): void {
    if (this.full) return;
    this.#problems.push({ ...this.#reading.position(path), path: formatPath(path), message, remedy });
  }

  warn(path: JsonPath, message: string): void {
    if (this.#warnings.length >= mostFound) return;
    this.#warnings.push({ ...this.#reading.position(path), path: formatPath(path), message });
  }

  /**
   * Problems where the value does not have the shape, warnings of keys that the shape does not know. Part by part, so that it ends
   * where there are enough: zod by itself would complain about each of a million.
   */
  checkShape(schema: z.core.$ZodType, value: unknown, path: JsonPath = []): void {
    if (this.full) return;
    if (schema instanceof z.ZodOptional && value !== undefined) {
      this.checkShape(schema.unwrap(), value, path);
    } else if (schema instanceof z.ZodArray && Array.isArray(value) && value.length > 0) {
      value.every((element, i) => {
        this.checkShape(schema.element, element, [...path, i]);
        return !this.full;
      });
    } else if (schema instanceof z.ZodObject && isObject(value)) {
      const shape = schema.shape as Readonly<Record<string, z.core.$ZodType>>;
      for (const [key, member] of Object.entries(shape))
        this.checkShape(member, Object.hasOwn(value, key) ? value[key] : undefined, [...path, key]);
      this.#warnOfUnknownKeys(shape, value, path);
    } else {
      this.#checkPart(schema, value, path);
    }
  }

  #checkPart(schema: z.core.$ZodType, value: unknown, place: JsonPath): void {
    for (const issue of z.safeParse(schema, value).error?.issues ?? []) {
      const inside = issue.path.filter((part) => typeof part !== 'symbol');
      const path = [...place, ...inside];
      const last = path.at(-1);
      const name = last === undefined ? 'the file' : typeof last === 'number' ? 'the entry' : `"${last}"`;
      this.problem(path, `${name} ${complaint(issue, valueAt(value, inside))}`, issue.message);
    }
  }

  #warnOfUnknownKeys(shape: Readonly<Record<string, unknown>>, value: object, path: JsonPath): void {
    for (const key of Object.keys(value)) {
      if (Object.hasOwn(shape, key)) continue;
      const meant = nearMiss(key, Object.keys(shape));
      const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
      this.warn([...path, key], `the key is unknown and not kept${hint}`);
    }
  }
}

/** The known name that differs from the text in case, hyphens, underscores or spaces only. */
export function nearMiss(text: string, known: readonly string[]): string | undefined {
  const fold = (name: string): string => name.toLowerCase().replaceAll(/[-_ ]/g, '');
  return known.find((name) => fold(name) === fold(text));
}

function complaint(issue: z.core.$ZodIssue, value: unknown): string {
  if (value === undefined) return 'is missing';
  switch (issue.code) {
    case 'too_small':
      return typeof value === 'number' ? 'is out of range' : 'is empty';
    case 'too_big':
      return typeof value === 'number' ? 'is out of range' : 'is too long';
    case 'invalid_format':
      return 'is misspelt';
    case 'invalid_value':
      return 'is none of the values that are known';
    case 'invalid_union':
      return 'is none of the forms that are known';
    case 'invalid_type':
      return `is ${kind(value)}`;
    default:
      return 'does not fit';
  }
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : 'a fraction';
  return typeof value === 'object' ? 'an object' : 'true or false';
}

function valueAt(root: unknown, path: JsonPath): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[part];
  }
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function byPlace(a: RackWarning, b: RackWarning): number {
  return a.line - b.line || a.column - b.column;
}
