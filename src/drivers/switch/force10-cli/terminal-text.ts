import { StringDecoder } from 'node:string_decoder';

/** What follows ESC: CSI sequences, and the two-byte escapes that terminals also get. */
const escape = /^(?:\[[0-?]*[ -/]*[@-~]|[()][A-Za-z0-9]|[=>78A-Z])/;
/** The longest answer of the largest switch is a hundredth of it, in characters. */
const mostText = 16 * 1024 * 1024;
/** Terminals have hundreds of columns at most. */
const longestLine = 64 * 1024;
/** An escape sequence that has not arrived completely; none is longer than this. */
const longestEscape = 16;

/**
 * What a terminal would show: completed lines, and the line the cursor is in.
 *
 * The switch rubs out its pager text with backspaces or by overwriting, mixes extra carriage returns into line ends, and the
 * bytes come in any chunks; so the cursor is followed instead of cleaning the text up with patterns.
 */
export class TerminalText {
  readonly #decoder = new StringDecoder('utf8');
  #pending = '';
  #lines: string[] = [];
  #current: string[] = [];
  #column = 0;
  #taken = 0;

  /** Completed lines since the last {@link clear}, without trailing white space. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The text of the line that the cursor is in. */
  get current(): string {
    return this.#current.join('');
  }

  /** @throws RangeError when there is no end to it */
  feed(chunk: Buffer): void {
    const text = this.#pending + this.#decoder.write(chunk);
    this.#taken += text.length;
    if (this.#taken > mostText) throw new RangeError(`it said more than ${mostText} characters`);
    this.#pending = '';
    for (let at = 0; at < text.length; at += 1) {
      const char = text[at]!;
      if (char !== '\x1b') {
        this.#put(char);
        continue;
      }
      const sequence = escape.exec(text.slice(at + 1, at + longestEscape))?.[0];
      if (sequence === undefined) {
        if (text.length - at < longestEscape) {
          this.#pending = text.slice(at);
          return;
        }
        continue;
      }
      if (sequence === '[K') this.#current.length = Math.min(this.#current.length, this.#column);
      at += sequence.length;
    }
  }

  /** Forgets everything shown so far. */
  clear(): void {
    this.#lines = [];
    this.#taken = 0;
    this.clearCurrent();
  }

  /** Forgets the line that the cursor is in: what the switch then does to rub it out has no effect. */
  clearCurrent(): void {
    this.#current = [];
    this.#column = 0;
  }

  #put(char: string): void {
    if (char === '\n') {
      this.#lines.push(this.current.trimEnd());
      this.clearCurrent();
    } else if (char === '\r') {
      this.#column = 0;
    } else if (char === '\b' || char === '\x7f') {
      this.#column = Math.max(0, this.#column - 1);
    } else if (char === '\t' || char >= ' ') {
      while (this.#current.length < this.#column) this.#current.push(' ');
      if (this.#column >= longestLine)
        throw new RangeError(`it said a line of more than ${longestLine} characters`);
      this.#current[this.#column] = char;
      this.#column += 1;
    }
  }
}
