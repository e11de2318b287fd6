/** What the person at the other end typed. */
export type Typed =
  | { readonly kind: 'line'; readonly text: string }
  /** Ctrl-C: the line is thrown away. */
  | { readonly kind: 'interrupt' }
  /** Ctrl-Z. */
  | { readonly kind: 'end' }
  /** The input is over. */
  | { readonly kind: 'closed' };

const interrupt = 0x03;
const endKey = 0x1a;
const eraseLine = 0x15;
const escape = 0x1b;

/**
 * The terminal side of a session: collects typed bytes into lines and echoes them. Bytes that arrive while nobody reads
 * (type-ahead) wait, and are echoed when they are read. CR, LF and CR LF all end a line.
 */
export class LineEditor {
  readonly #echo: (bytes: Buffer) => void;
  #input: number[] = [];
  #waiting: (() => void) | null = null;
  #closed = false;
  #afterReturn = false;

  constructor(echo: (bytes: Buffer) => void) {
    this.#echo = echo;
  }

  push(bytes: Uint8Array): void {
    this.#input.push(...bytes);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Reads one key press: for the pager. Null when the input is over. */
  async readKey(): Promise<number | null> {
    for (;;) {
      const byte = await this.#next();
      if (byte === 0x0a && this.#afterReturn) {
        this.#afterReturn = false;
        continue;
      }
      this.#afterReturn = byte === 0x0d;
      return byte;
    }
  }

  /**
   * Reads a line. `column` is where the cursor stands and `columns` the width of the terminal (0 = endless): the echo of
   * a longer line is broken there, as a terminal driver does.
   */
  async readLine(echo: boolean, column: number, columns: number): Promise<Typed> {
    const typed: number[] = [];
    const show = (text: string | Buffer): void => {
      if (echo) this.#echo(Buffer.from(text));
    };
    for (;;) {
      const byte = await this.readKey();
      switch (byte) {
        case null:
          return { kind: 'closed' };
        case 0x0d:
        case 0x0a:
          this.#echo(Buffer.from('\r\n'));
          return { kind: 'line', text: Buffer.from(typed).toString('utf8') };
        case interrupt:
          this.#echo(Buffer.from('^C\r\n'));
          return { kind: 'interrupt' };
        case endKey:
          this.#echo(Buffer.from('^Z\r\n'));
          return { kind: 'end' };
        case 0x08:
        case 0x7f:
          if (typed.length > 0) {
            typed.pop();
            show('\b \b');
          }
          break;
        case eraseLine:
          show('\b \b'.repeat(typed.length));
          typed.length = 0;
          break;
        default:
          if (byte < 0x20 && byte !== escape) break;
          typed.push(byte);
          show(Buffer.from([byte]));
          if (columns > 0 && (column + typed.length) % columns === 0) show('\r\n');
      }
    }
  }

  async #next(): Promise<number | null> {
    for (;;) {
      if (this.#input.length > 0) return this.#input.shift()!;
      if (this.#closed) return null;
      await new Promise<void>((resolve) => (this.#waiting = resolve));
    }
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = null;
  }
}
