import { defaultFormLimits, tooManyFields, type Form, type FormLimits } from './form.ts';
import { parseJsonForm } from './json-form.ts';
import { parseMediaType } from './media-type.ts';
import { parseMultipart } from './multipart.ts';

export type FormKind = 'urlencoded' | 'multipart' | 'json' | 'other';

const kinds: Readonly<Record<string, FormKind>> = {
  'application/x-www-form-urlencoded': 'urlencoded',
  'multipart/form-data': 'multipart',
  'application/json': 'json',
};

const nothing: Form = { entries: [], files: new Map() };

/** How a body of this content type is read; `other` = as bytes, without fields. */
export function formKind(contentType: string): FormKind {
  const { type } = parseMediaType(contentType);
  return Object.hasOwn(kinds, type) ? kinds[type]! : 'other';
}

/**
 * The fields of a request's body as MAAS's clients send them.
 * @throws MalformedForm
 */
export function parseForm(contentType: string, bytes: Buffer, limits: FormLimits = defaultFormLimits): Form {
  // Some clients name a type on requests without body, even on GET.
  if (bytes.length === 0) return nothing;
  const form = read(contentType, bytes, limits);
  if (form.entries.length + form.files.size > limits.fields) throw tooManyFields(limits);
  return form;
}

function read(contentType: string, bytes: Buffer, limits: FormLimits): Form {
  switch (formKind(contentType)) {
    case 'urlencoded':
      return { ...nothing, entries: urlencoded(bytes.toString(), limits) };
    case 'multipart':
      return parseMultipart(parseMediaType(contentType).parameters.get('boundary') ?? '', bytes, limits);
    case 'json':
      return { ...nothing, entries: parseJsonForm(bytes.toString()) };
    case 'other':
      return nothing;
  }
}

function urlencoded(text: string, limits: FormLimits): Form['entries'] {
  let fields = 1;
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) fields += 1;
  if (fields > limits.fields) throw tooManyFields(limits);
  // The first `?` of what it is given would be dropped.
  return [...new URLSearchParams(`?${text}`)];
}
