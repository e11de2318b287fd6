const inspect = Symbol.for('nodejs.util.inspect.custom');

/** A wrapped secret: printing, inspecting or serialising it gives `***`; only {@link reveal} gives the text. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself: for handing to a device or a cipher, never for a log, a plan or an error. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect](): string {
    return '***';
  }
}
