/** JSON that is composed already. What is the same for many is written down once. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** For whoever composes it into something else after all. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

const known = new WeakMap<object, string>();

/** The JSON of an object that many answers share and nobody changes: composed once. */
export function sharedText(value: object | null): string {
  if (value === null) return 'null';
  let text = known.get(value);
  if (text === undefined) {
    text = JSON.stringify(value);
    known.set(value, text);
  }
  return text;
}

/** An object with further fields, whose JSON is composed already. */
export function withFields(object: object, fields: Readonly<Record<string, string>>): string {
  const more = Object.entries(fields).map(([name, text]) => `${JSON.stringify(name)}:${text}`);
  return `${JSON.stringify(object).slice(0, -1)},${more.join(',')}}`;
}
