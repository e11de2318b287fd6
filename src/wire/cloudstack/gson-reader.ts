import { isLosslessNumber } from 'lossless-json';
import { frameError } from './frame-error.ts';
import { GsonFault, parseGson } from './gson-parser.ts';

/** A parsed JSON object; numbers are kept as written. Fields are read through the functions below, which tolerate what Gson tolerates. */
export type GsonFields = Readonly<Record<string, unknown>>;

/**
 * Parses one JSON object; of a repeated key the last value counts.
 * @throws ServiceError `agent.frame` when it is not valid JSON or not an object. The error quotes no content.
 */
export function parseFields(text: string): GsonFields {
  let value: unknown;
  try {
    value = parseGson(text);
  } catch (error) {
    if (!(error instanceof GsonFault)) throw error;
    throw frameError(`the body is not JSON: fault at character ${error.at}`);
  }
  const fields = asFields(value);
  if (!fields) throw frameError('the body holds something else where an object is expected');
  return fields;
}

export function textField(fields: GsonFields, name: string): string | null {
  const value = own(fields, name);
  if (typeof value === 'string') return value;
  if (isLosslessNumber(value)) return value.toString();
  return null;
}

/** True only for `true` (or the text "true"). */
export function flagField(fields: GsonFields, name: string): boolean {
  const value = own(fields, name);
  return value === true || (typeof value === 'string' && value.toLowerCase() === 'true');
}

/** A whole number of up to 64 bits with sign, written as number or as text; null when absent or something else. */
export function longField(fields: GsonFields, name: string): bigint | null {
  const text = textField(fields, name);
  if (text === null || !/^-?\d{1,19}$/.test(text)) return null;
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value ? value : null;
}

export function objectField(fields: GsonFields, name: string): GsonFields | null {
  return asFields(own(fields, name));
}

export function arrayField(fields: GsonFields, name: string): readonly unknown[] {
  const value = own(fields, name);
  return Array.isArray(value) ? value : [];
}

/** A map of texts; members that are neither text, number nor boolean are left out. */
export function textMapField(fields: GsonFields, name: string): Record<string, string> {
  const map = objectField(fields, name) ?? {};
  return Object.fromEntries(
    Object.entries(map).flatMap(([key, value]) => {
      if (typeof value === 'string') return [[key, value]];
      if (typeof value === 'boolean' || isLosslessNumber(value)) return [[key, value.toString()]];
      return [];
    }),
  );
}

export function asFields(value: unknown): GsonFields | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isLosslessNumber(value))
    return null;
  return value as GsonFields;
}

function own(fields: GsonFields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}
