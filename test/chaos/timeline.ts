/** What happened in a run, and when: printed when something is wrong. */
export class Timeline {
  readonly #began = performance.now();
  readonly #lines: string[] = [];
  readonly #told = new Set<string>();

  /** @param who `draw`, `fault`, `cloud`, `service`, `floor`, ... */
  tell(who: string, text: string): void {
    const seconds = ((performance.now() - this.#began) / 1_000).toFixed(3).padStart(8);
    this.#lines.push(`${seconds} s  ${who.padEnd(8)} ${text}`);
  }

  /** Leaves out what comes again and again, such as the renewal of an address. */
  tellOnce(who: string, text: string): void {
    if (text.startsWith('router:')) {
      if (this.#told.has(text)) return;
      this.#told.add(text);
    }
    this.tell(who, text);
  }

  text(): string {
    return this.#lines.join('\n');
  }
}
