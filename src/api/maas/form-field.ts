import { isIP } from 'node:net';
import type { JsonObject, JsonValue } from '../../../plugin-api/index.ts';
import { parseMac } from '../../../plugin-api/index.ts';
import type { Fields } from './fields.ts';
import { MaasRefusal } from './maas-refusal.ts';
import { parseNetwork } from './ip-network.ts';

/** What is wrong with a value, in the words that Django has for it. */
class FieldFault extends Error {}

/** A field of a form: how its text becomes the value that is kept. */
export interface FormField {
  /** What it means: for `describe/`. */
  readonly doc: string;
  readonly required: boolean;
  /** The value of a thing about which nobody said it. */
  readonly missing: JsonValue;
  /** @throws FieldFault */
  read(values: readonly string[]): JsonValue;
}

export type Form = Readonly<Record<string, FormField>>;

/** The field must be said when the thing is made, and cannot be emptied later. */
export function needed(field: FormField): FormField {
  return { ...field, required: true };
}

function single(doc: string, missing: JsonValue, read: (text: string) => JsonValue): FormField {
  return { doc, required: false, missing, read: (values) => read((values.at(-1) ?? '').trim()) };
}

export function textField(doc: string, { max = 255, missing = '' } = {}): FormField {
  return single(doc, missing, (text) => {
    if (text.length > max) fail(`Ensure this value has at most ${max} characters (it has ${text.length}).`);
    return text;
  });
}

/** Letters, digits and what the pattern allows more; for things that are found by name. */
export function nameField(doc: string, pattern = /^[\w][\w .-]*$/): FormField {
  return single(doc, '', (text) => {
    if (text.length > 250) fail(`Ensure this value has at most 250 characters (it has ${text.length}).`);
    if (text !== '' && !pattern.test(text)) fail(`Invalid name: ${text}.`);
    return text;
  });
}

/** Empty = null. */
export function nullableField(field: FormField): FormField {
  return {
    ...field,
    missing: null,
    read: (values) => ((values.at(-1) ?? '').trim() === '' ? null : field.read(values)),
  };
}

const yes = ['true', 't', 'yes', 'y', 'on', '1'];
const no = ['false', 'f', 'no', 'n', 'off', '0', ''];

export function flagField(doc: string, missing = false): FormField {
  return single(doc, missing, (text) => {
    const lower = text.toLowerCase();
    if (!yes.includes(lower) && !no.includes(lower)) fail('Enter a valid boolean value.');
    return yes.includes(lower);
  });
}

export function wholeField(
  doc: string,
  missing: number | null,
  { min, max }: { readonly min: number; readonly max: number },
): FormField {
  return single(doc, missing, (text) => {
    if (text === '') return missing;
    if (!/^-?\d{1,15}$/.test(text)) fail('Enter a whole number.');
    const value = Number(text);
    if (value < min) fail(`Ensure this value is greater than or equal to ${min}.`);
    if (value > max) fail(`Ensure this value is less than or equal to ${max}.`);
    return value;
  });
}

export function choiceField(doc: string, choices: readonly string[], missing = ''): FormField {
  return single(doc, missing, (text) => {
    if (text === '') return missing;
    if (!choices.includes(text))
      fail(
        `'${text}' is not a valid choice.  It should be one of: ${choices.map((one) => `'${one}'`).join(', ')}.`,
      );
    return text;
  });
}

/** Repeated, or in one value separated by blanks or commas. */
export function wordsField(doc: string, check: (word: string) => void = () => undefined): FormField {
  return {
    doc,
    required: false,
    missing: [],
    read: (values) => {
      const words = values.flatMap((value) => value.split(/[\s,]+/)).filter((word) => word !== '');
      words.forEach(check);
      return words;
    },
  };
}

export function addressField(doc: string): FormField {
  return single(doc, '', (text) => {
    if (text !== '') checkAddress(text);
    return text.toLowerCase();
  });
}

export function addressesField(doc: string): FormField {
  return wordsField(doc, checkAddress);
}

/** As MAAS writes it: without bits behind the prefix. */
export function networkField(doc: string): FormField {
  return single(doc, '', (text) => {
    if (text === '') return '';
    const network = parseNetwork(text);
    if (!network) fail('Required format: <network>/<prefixlen>.');
    return network.cidr;
  });
}

/** Lower case with colons. */
export function macsField(doc: string): FormField {
  return {
    doc,
    required: false,
    missing: [],
    read: (values) =>
      values
        .flatMap((value) => value.split(','))
        .map((value) => value.trim())
        .filter((value) => value !== '')
        .map((value) => {
          try {
            return parseMac(value);
          } catch {
            return fail(`'${value}' is not a valid MAC address.`);
          }
        }),
  };
}

function checkAddress(text: string): void {
  if (isIP(text) === 0) fail('Enter a valid IPv4 or IPv6 address.');
}

function fail(message: string): never {
  throw new FieldFault(message);
}

/**
 * The values of a form: of a new thing where `before` is null, else of one that is changed, where only what is said changes.
 * @throws MaasRefusal 400 naming each field that is missing or wrong
 */
export function readForm(form: Form, fields: Fields, before: JsonObject | null): JsonObject {
  const faults: Record<string, string[]> = {};
  const values = Object.entries(form).map(([name, field]) => {
    const said = fields.has(name);
    const kept = before && Object.hasOwn(before, name) ? before[name]! : field.missing;
    let value: JsonValue = kept;
    try {
      if (said) value = field.read(fields.all(name));
    } catch (thrown) {
      if (!(thrown instanceof FieldFault)) throw thrown;
      faults[name] = [thrown.message];
    }
    if (field.required && (said || !before) && isEmpty(value) && !Object.hasOwn(faults, name))
      faults[name] = ['This field is required.'];
    return [name, value] as const;
  });
  if (Object.keys(faults).length > 0) throw new MaasRefusal(400, faults);
  return Object.fromEntries(values);
}

/** The form as `describe/` tells it. */
export function formParams(form: Form): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(form).map(([name, { doc, required }]) => [name, required ? `${doc} Required.` : doc]),
  );
}

function isEmpty(value: JsonValue): boolean {
  return value === '' || value === null || (Array.isArray(value) && value.length === 0);
}
