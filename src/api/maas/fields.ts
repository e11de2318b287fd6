/** A file of a multipart body: a part that has a file name. */
export interface FileField {
  readonly filename: string;
  readonly bytes: Buffer;
}

/** The fields of a request, in the order in which they came; a name may come more than once. */
export class Fields {
  readonly entries: readonly (readonly [name: string, value: string])[];
  readonly #files: ReadonlyMap<string, FileField>;

  constructor(
    entries: readonly (readonly [name: string, value: string])[],
    files: ReadonlyMap<string, FileField> = new Map(),
  ) {
    this.entries = entries;
    this.#files = files;
  }

  /** The last value of the name: what Django's `QueryDict` gives too. */
  get(name: string): string | undefined {
    return this.entries.findLast(([key]) => key === name)?.[1];
  }

  has(name: string): boolean {
    return this.entries.some(([key]) => key === name);
  }

  /** Every value of the name. */
  all(name: string): readonly string[] {
    return this.entries.filter(([key]) => key === name).map(([, value]) => value);
  }

  file(name: string): FileField | null {
    return this.#files.get(name) ?? null;
  }
}
