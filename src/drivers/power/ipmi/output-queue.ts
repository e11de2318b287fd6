/** Bytes that are pushed on one side and iterated on the other; for one reader. */
export class OutputQueue implements AsyncIterable<Buffer> {
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #ended = false;
  #reason: Error | null = null;
  #wake: (() => void) | null = null;

  /** Whether so much waits for a reader that no more should be taken. */
  get full(): boolean {
    return this.#length > 1 << 20;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0 || this.#ended) return;
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    this.#wake?.();
  }

  /** No more comes. What is there can still be read; then the reader gets the reason, if there is one. */
  end(reason: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason = reason;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) {
        this.#length -= piece.length;
        yield piece;
        continue;
      }
      if (this.#reason) throw this.#reason;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }
}
