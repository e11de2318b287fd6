import { MalformedForm, type Form } from './form.ts';

/** What clients send is flat; deeper nesting is an attack on whoever walks through it. */
const deepest = 32;

/**
 * The fields of a JSON object: a list is a repeated field, numbers and truth values are their text, null is an empty text,
 * and an object is its JSON.
 * @throws MalformedForm
 */
export function parseJsonForm(text: string): Form['entries'] {
  if (text.trim() === '') return [];
  if (isTooDeep(text)) throw new MalformedForm(`the JSON is nested deeper than ${deepest} levels`);
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

/** Without building anything. */
function isTooDeep(json: string): boolean {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < json.length; i += 1) {
    const sign = json[i];
    if (inText) {
      if (sign === '\\') i += 1;
      else if (sign === '"') inText = false;
    } else if (sign === '"') inText = true;
    else if (sign === '{' || sign === '[') {
      depth += 1;
      if (depth > deepest) return true;
    } else if (sign === '}' || sign === ']') depth -= 1;
  }
  return false;
}
