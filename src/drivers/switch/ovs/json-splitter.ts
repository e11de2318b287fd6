/** Far above any answer: a bridge with 10,000 ports is about 3 MB. */
export const maxMessageLength = 64 * 1024 * 1024;

const quote = 0x22;
const backslash = 0x5c;
const space = 0x20;
const openings = new Set([0x7b, 0x5b]);
const closings = new Set([0x7d, 0x5d]);

/**
 * Cuts a stream into JSON texts. JSON-RPC over a stream has no frames: one object follows the other, with or without
 * white space between them (RFC 7047 section 4).
 */
export class JsonSplitter {
  #text = '';
  #at = 0;
  #depth = 0;
  #quoted = false;

  /**
   * Takes the next piece of the stream, cut anywhere between two characters.
   * @returns the objects and lists that are complete now
   * @throws RangeError when one is too long, SyntaxError when something else than one begins
   */
  push(chunk: string): string[] {
    this.#text += chunk;
    const complete: string[] = [];
    let start = 0;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const char = this.#text.charCodeAt(this.#at);
      if (this.#quoted) {
        // What is escaped may not have arrived yet; then it is looked at with the next piece.
        if (char === backslash) this.#at += 1;
        else if (char === quote) this.#quoted = false;
      } else if (openings.has(char)) {
        this.#depth += 1;
      } else if (this.#depth === 0) {
        if (char > space) throw new SyntaxError('what the other side sends is not JSON');
        start = this.#at + 1;
      } else if (char === quote) {
        this.#quoted = true;
      } else if (closings.has(char)) {
        this.#depth -= 1;
        if (this.#depth > 0) continue;
        complete.push(this.#text.slice(start, this.#at + 1));
        start = this.#at + 1;
      }
    }
    this.#text = this.#text.slice(start);
    this.#at -= start;
    if (this.#text.length > maxMessageLength) throw new RangeError('a message without an end');
    return complete;
  }
}
