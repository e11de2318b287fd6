import type { Fields } from './fields.ts';
import { MaasRefusal } from './maas-refusal.ts';

/** It is told with its machine in every list. */
const mostCharacters = 64 * 1024;

/**
 * The pairs of name and value that a user keeps with a machine or device, after those of the form; an empty value removes one.
 * @throws MaasRefusal 400
 */
export function ownerDataAfter(
  before: Readonly<Record<string, string>>,
  fields: Fields,
): Readonly<Record<string, string>> {
  const data = new Map(Object.entries(before));
  for (const [key, value] of fields.entries) {
    if (value === '') data.delete(key);
    else data.set(key, value);
  }
  const length = [...data].flat().reduce((sum, text) => sum + text.length, 0);
  if (length > mostCharacters)
    throw new MaasRefusal(400, `Owner data of more than ${mostCharacters} characters is not kept here.`);
  return Object.fromEntries(data);
}
