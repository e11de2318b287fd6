import { jsonExcess } from '../json/json-limits.ts';
import { frameError } from './frame-error.ts';
import { parseFields, type GsonFields } from './gson-reader.ts';
import { arrayElements, objectMembers } from './json-slice.ts';
import { maxBodyEntries, maxClassName, maxJsonDepth, maxJsonValues } from './limits.ts';

/** One command or answer of a body: `{"<class name>": {...}}`. */
export interface BodyEntry {
  /** Fully qualified Java class name. */
  readonly className: string;
  /** The object exactly as it stood. */
  readonly text: string;
}

/** An entry that was read: its fields too. */
export interface ParsedEntry extends BodyEntry {
  readonly fields: GsonFields;
}

/**
 * How many entries a body has, as far as that can be told of a body that cannot be read.
 * @throws ServiceError `agent.frame` when it cannot be told.
 */
export function countEntries(text: string): number {
  return elementsOf(text).length;
}

/**
 * Reads the array of one-key objects. Unknown classes stay opaque; of an object with more keys only the first counts, as in Java's
 * `ArrayTypeAdaptor`.
 * @throws ServiceError `agent.frame` when the text is anything else; a `null` element and a bare object are.
 */
export function parseBody(text: string): ParsedEntry[] {
  return elementsOf(text).map((element, index) => {
    const first = objectMembers(element)[0];
    if (!first) throw frameError(`element ${index} of the body has no class name`);
    if (first.key.length > maxClassName)
      throw frameError(`the class name of element ${index} has more than ${maxClassName} characters`);
    return { className: first.key, text: first.text, fields: parseFields(first.text) };
  });
}

function elementsOf(text: string): string[] {
  switch (jsonExcess(text, { depth: maxJsonDepth, values: maxJsonValues })) {
    case 'depth':
      throw frameError(`the body is nested deeper than ${maxJsonDepth} levels`);
    case 'values':
      throw frameError(`the body has more than ${maxJsonValues} values`);
    case null:
      break;
  }
  const elements = arrayElements(text);
  if (elements.length <= maxBodyEntries) return elements;
  throw frameError(`the body has ${elements.length} entries; at most ${maxBodyEntries} are taken`);
}

/** Writes the array of one-key objects; the entries' texts go in unchanged. */
export function composeBody(entries: readonly BodyEntry[]): string {
  return `[${entries.map((entry) => `{${JSON.stringify(entry.className)}:${entry.text}}`).join(',')}]`;
}
