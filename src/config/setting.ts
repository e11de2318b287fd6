import { z } from 'zod';
import { parseDuration } from '../kernel/clock/duration.ts';
import { Secret, type Duration, type JsonObject } from '../../plugin-api/index.ts';

export type SettingKind =
  'text' | 'whole number' | 'number' | 'true or false' | 'duration' | 'path' | 'secret' | 'list' | 'settings';

/** What the loader and the generated reference know of a setting besides its schema. */
export interface SettingFacts {
  readonly kind: SettingKind;
  /** Allowed values, for the reference; empty = see the kind. */
  readonly values?: readonly string[];
  readonly meaning: string;
  /** As it would be written; undefined = none. */
  readonly default?: string | undefined;
  /** A path that, when absent, is this name in the state folder. */
  readonly inStateDir?: string | undefined;
}

/** Facts of every setting, by its schema. What is in here is a setting; other objects are sections. */
export const settingFacts = z.registry<SettingFacts>();

/*
 * The makers of settings. The text given to zod is the remedy that an error shows; it never repeats the value, which may
 * be a secret.
 */

export function text(
  meaning: string,
  fallback: string,
  remedy = 'write it as text',
): z.ZodDefault<z.ZodString> {
  return z
    .string(remedy)
    .min(1, remedy)
    .default(fallback)
    .register(settingFacts, { kind: 'text', meaning, default: fallback });
}

export function optionalText(meaning: string, remedy = 'write it as text', pattern = /^/) {
  return z
    .string(remedy)
    .min(1, remedy)
    .regex(pattern, remedy)
    .optional()
    .register(settingFacts, { kind: 'text', meaning });
}

export function choice<const T extends readonly [string, ...string[]]>(
  meaning: string,
  values: T,
  fallback: T[number],
): z.ZodDefault<z.ZodEnum<{ [K in T[number]]: K }>> {
  return z
    .enum(values, `use one of: ${values.join(', ')}`)
    .default(fallback as never)
    .register(settingFacts, { kind: 'text', values, meaning, default: fallback });
}

export function flag(meaning: string, fallback: boolean): z.ZodDefault<z.ZodBoolean> {
  return z
    .boolean('write true or false')
    .default(fallback)
    .register(settingFacts, { kind: 'true or false', meaning, default: String(fallback) });
}

/** A TCP port to listen on; 0 = any free one. */
export function port(meaning: string, fallback: number): z.ZodDefault<z.ZodInt> {
  const remedy = 'write a whole number from 0 to 65535';
  return z
    .int(remedy)
    .min(0, remedy)
    .max(65535, remedy)
    .default(fallback)
    .register(settingFacts, { kind: 'whole number', meaning, default: String(fallback) });
}

export function wholeNumber(
  meaning: string,
  fallback: number,
  min = 1,
  max = 1_000_000,
): z.ZodDefault<z.ZodInt> {
  const remedy = `write a whole number from ${min} to ${max}`;
  return z
    .int(remedy)
    .min(min, remedy)
    .max(max, remedy)
    .default(fallback)
    .register(settingFacts, { kind: 'whole number', meaning, default: String(fallback) });
}

export function factor(meaning: string, fallback: number): z.ZodDefault<z.ZodNumber> {
  const remedy = 'write a number above 0, for example 20';
  return z
    .number(remedy)
    .positive(remedy)
    .default(fallback)
    .register(settingFacts, { kind: 'number', meaning, default: String(fallback) });
}

/** @param longest for what becomes a timer of Node's: those take no more than 24 days */
export function duration(meaning: string, fallback: string, longest = '36500d') {
  const remedy = `write a number and a unit: 250ms, 30s, 5m, 2h or 1d; at most ${longest}`;
  return z
    .string(remedy)
    .transform((written, context): Duration => {
      const time = parseDuration(written);
      if (time !== null && time > 0 && time <= parseDuration(longest)!) return time;
      context.addIssue({ code: 'custom', message: remedy });
      return z.NEVER;
    })
    .prefault(fallback)
    .register(settingFacts, { kind: 'duration', meaning, default: fallback });
}

/** A path; the loader has made it absolute before the schema sees it. */
export function path(meaning: string, inStateDir: string): z.ZodString {
  const remedy = 'write a path as text';
  return z
    .string(remedy)
    .min(1, remedy)
    .register(settingFacts, { kind: 'path', meaning, inStateDir, default: `<stateDir>/${inStateDir}` });
}

export function optionalPath(meaning: string) {
  const remedy = 'write a path as text';
  return z.string(remedy).min(1, remedy).optional().register(settingFacts, { kind: 'path', meaning });
}

/** A secret; the loader has looked the reference up before the schema sees it. */
export function optionalSecret(meaning: string) {
  return z
    .instanceof(Secret, { error: 'write env:NAME or file:/path' })
    .optional()
    .register(settingFacts, { kind: 'secret', meaning });
}

/** Settings that are handed on as they are, to a driver that checks them. */
export function passedOn(meaning: string) {
  return z
    .custom<JsonObject>(isJsonObject, 'write keys and values')
    .default({})
    .register(settingFacts, { kind: 'settings', meaning, default: '{}' });
}

function isJsonObject(value: unknown): boolean {
  return z.record(z.string(), z.json()).safeParse(value).success;
}
