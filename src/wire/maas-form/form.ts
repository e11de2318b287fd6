/** What a body says: fields in their order, and files by field name. */
export interface Form {
  readonly entries: readonly (readonly [name: string, value: string])[];
  readonly files: ReadonlyMap<string, FormFile>;
}

/** A part that has a file name. */
export interface FormFile {
  readonly filename: string;
  readonly bytes: Buffer;
}

export interface FormLimits {
  /** Most fields and files of a body. */
  readonly fields: number;
  /** Most bytes of the headers of one part. */
  readonly headerBytes: number;
}

/** Ten thousand machines fit into one request; what is beyond is a mistake or an attack. */
export const defaultFormLimits: FormLimits = { fields: 25_000, headerBytes: 8 * 1024 };

/** The body is not what it says it is. The text never repeats what was in it. */
export class MalformedForm extends Error {
  override readonly name = 'MalformedForm';
}

export function tooManyFields({ fields }: FormLimits): MalformedForm {
  return new MalformedForm(`the body has more than ${fields} fields`);
}
