/** What was typed at a console: characters for the machine, or a wish of the user. */
export type Typed = Buffer | 'leave' | 'break';

const [tilde, dot, capitalB, cr, lf] = [0x7e, 0x2e, 0x42, 0x0d, 0x0a] as const;

/** Finds the escapes of ssh and cu: `~.` leaves, `~B` sends a break, `~~` is a tilde; only at the beginning of a line. */
export class EscapeReader {
  #state: 'line start' | 'tilde' | 'within' = 'line start';

  read(chunk: Buffer): readonly Typed[] {
    const found: Typed[] = [];
    let plain: number[] = [];
    const flush = (): void => {
      if (plain.length > 0) found.push(Buffer.from(plain));
      plain = [];
    };
    for (const byte of chunk) {
      if (this.#state === 'line start' && byte === tilde) {
        this.#state = 'tilde';
        continue;
      }
      if (this.#state === 'tilde') {
        this.#state = 'within';
        if (byte === dot || byte === capitalB) {
          flush();
          found.push(byte === dot ? 'leave' : 'break');
          this.#state = 'line start';
          continue;
        }
        plain.push(tilde);
        if (byte === tilde) continue;
      }
      plain.push(byte);
      this.#state = byte === cr || byte === lf ? 'line start' : 'within';
    }
    flush();
    return found;
  }
}
