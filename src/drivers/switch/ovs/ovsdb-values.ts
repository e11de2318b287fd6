import { z } from 'zod';

/*
 * Values as the protocol writes them (RFC 7047 section 5.1): a set of one element is the element itself, other sets are
 * ["set", [...]], maps ["map", [[key, value], ...]], references to rows ["uuid", "..."].
 */

export const uuid = z.tuple([z.literal('uuid'), z.string()]).transform(([, id]) => id);

export function setOf<T>(element: z.ZodType<T>): z.ZodType<readonly T[]> {
  const set = z.tuple([z.literal('set'), z.array(element)]).transform(([, all]) => all);
  return z.union([set, element.transform((one) => [one])]);
}

/** A column that holds one value or none. */
export function optional<T>(element: z.ZodType<T>): z.ZodType<T | null> {
  return setOf(element).transform((all) => all[0] ?? null);
}

export const textMap = z
  .tuple([z.literal('map'), z.array(z.tuple([z.string(), z.string()]))])
  .transform(([, pairs]): ReadonlyMap<string, string> => new Map(pairs));

/** `["uuid", ...]` of a row that is there, `["named-uuid", ...]` of one that the same transaction makes. */
export type RowReference = readonly ['uuid' | 'named-uuid', string];

export function asSet(elements: readonly (number | RowReference)[]): unknown {
  return ['set', elements];
}

export function asMap(pairs: Readonly<Record<string, string>>): unknown {
  return ['map', Object.entries(pairs)];
}
