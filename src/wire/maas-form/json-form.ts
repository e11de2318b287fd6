import { jsonExcess, usualDepth } from '../json/json-limits.ts';
import { MalformedForm, type Form } from './form.ts';

/** Four for each field that a form may have: where fields are lists, say. */
const mostValues = 100_000;

/**
 * The fields of a JSON object: a list is a repeated field, numbers and truth values are their text, null is an empty text,
 * and an object is its JSON.
 * @throws MalformedForm
 */
export function parseJsonForm(text: string): Form['entries'] {
  if (text.trim() === '') return [];
  switch (jsonExcess(text, { depth: usualDepth, values: mostValues })) {
    case 'depth':
      throw new MalformedForm(`the JSON is nested deeper than ${usualDepth} levels`);
    case 'values':
      throw new MalformedForm(`the JSON has more than ${mostValues} values`);
    case null:
      break;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MalformedForm('the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MalformedForm('the JSON is not an object');
  return Object.entries(value).flatMap(([name, field]: [string, unknown]) =>
    Array.isArray(field)
      ? field.map((item): [string, string] => [name, fieldText(item)])
      : [[name, fieldText(field)] as const],
  );
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null ? '' : JSON.stringify(value);
}
