/** How output is cut into pieces on its way: readers must not depend on it. */
export type Chunking =
  | 'whole'
  /** What is written without a pause goes in one piece, as an SSH server reads it from a terminal: `whole` sends each letter of an echo alone. */
  | 'gathered'
  /** Every prompt comes in two pieces. */
  | 'split-prompt'
  /** Pieces of 1 to 40 bytes, cut anywhere, also within a character. */
  | { readonly seed: number }
  /** Pieces of exactly so many bytes. */
  | number;

/** Cuts output into pieces, in order. */
export class ChunkedOutput {
  readonly #write: (bytes: Buffer) => void;
  readonly #chunking: Chunking;
  #random: number;
  #gathered: Buffer[] = [];

  constructor(write: (bytes: Buffer) => void, chunking: Chunking) {
    this.#write = write;
    this.#chunking = chunking;
    this.#random = typeof chunking === 'object' ? chunking.seed : 0;
  }

  text(text: string): void {
    this.bytes(Buffer.from(text, 'utf8'));
  }

  prompt(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    if (this.#chunking !== 'split-prompt') return this.bytes(bytes);
    const half = Math.ceil(bytes.length / 2);
    this.#write(bytes.subarray(0, half));
    this.#write(bytes.subarray(half));
  }

  bytes(bytes: Buffer): void {
    if (this.#chunking === 'gathered') {
      if (this.#gathered.length === 0) setImmediate(() => this.flush());
      this.#gathered.push(bytes);
      return;
    }
    if (typeof this.#chunking === 'string') {
      this.#write(bytes);
      return;
    }
    for (let at = 0; at < bytes.length;) {
      const size = typeof this.#chunking === 'number' ? this.#chunking : this.#nextSize();
      this.#write(bytes.subarray(at, at + size));
      at += size;
    }
  }

  /** Sends what was gathered. */
  flush(): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    if (gathered.length > 0) this.#write(Buffer.concat(gathered));
  }

  /** A small linear congruential generator, so that a run can be repeated. */
  #nextSize(): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return 1 + ((this.#random >>> 16) % 40);
  }
}
