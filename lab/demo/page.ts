import { closeSync, openSync, writeSync } from 'node:fs';
import { progressBar } from './progress-bar.ts';
import { clauses, shortened, wrapped } from './text-layout.ts';

export interface PageOptions {
  readonly terminal: NodeJS.WriteStream;
  /** File of the full transcript. */
  readonly transcript: string;
  /** Prints the full transcript on the terminal too. */
  readonly verbose: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How a step went: as planned, taken back, or not as planned. */
export type Mark = 'step' | 'undo' | 'failed';

const narrowest = 80;
const widest = 112;
const labelWidth = 24;
const timeWidth = 8;
const colours = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

/** What the demo tells: a readable page on the terminal, and everything in the transcript. Counts the checks. */
export class Page {
  passed = 0;
  failed = 0;
  readonly #options: PageOptions;
  readonly #file: number;
  readonly #began = performance.now();
  readonly #colour: boolean;
  /** A progress bar can be drawn again in its place. */
  readonly #inPlace: boolean;
  readonly #sources: (() => readonly string[])[] = [];
  /** What was last shown of a progress. */
  #bar: { readonly label: string; readonly percent: number } | null = null;
  /** A bar stands on the last line of the terminal. */
  #drawn = false;
  #section = 0;
  #silent = false;

  constructor(options: PageOptions) {
    this.#options = options;
    this.#file = openSync(options.transcript, 'wx', 0o600);
    const tty = options.terminal.isTTY && options.env['TERM'] !== 'dumb';
    this.#colour = tty && !options.env['NO_COLOR'];
    this.#inPlace = tty && !options.verbose;
  }

  get width(): number {
    const { isTTY, columns } = this.#options.terminal;
    return isTTY ? Math.min(widest, Math.max(narrowest, columns)) : widest;
  }

  /** Lines for the transcript that somebody else collects; asked for before anything is written. */
  collect(source: () => readonly string[]): void {
    this.#sources.push(source);
  }

  title(text: string): void {
    this.#print(['', text], 'bold');
  }

  /** A numbered section with its explanation. */
  section(title: string, explanation: string): void {
    this.#section += 1;
    this.#print(['', `${this.#section}. ${title}`], 'bold');
    this.#print(
      wrapped(explanation, this.width - 3).map((line) => `   ${line}`),
      'dim',
    );
  }

  /** One thing that happened, with its evidence and how long it took. */
  step(label: string, evidence: string, milliseconds: number | null = null, mark: Mark = 'step'): void {
    this.#drain();
    this.#write(`${label}: ${evidence}`, false);
    const time = milliseconds === null ? '' : `${(milliseconds / 1_000).toFixed(2)} s`;
    const room = this.width - 3 - labelWidth - 1 - timeWidth - 1;
    const [first = '', ...rest] = clauses(shortened(evidence), room);
    const colour = { step: null, undo: 'yellow', failed: 'red' } as const;
    const shown = label.padEnd(labelWidth);
    const painted = colour[mark] === null ? shown : this.#paint(shown, colour[mark]);
    this.#screen(
      `   ${painted} ${first.padEnd(room)} ${time.padStart(timeWidth)}`.trimEnd(),
      ...rest.map((line) => `   ${' '.repeat(labelWidth)} ${line}`),
    );
  }

  /** Counts whether something is as it was asked for, and tells what was found. */
  check(what: string, ok: boolean, found: string): void {
    if (ok) this.passed += 1;
    else this.failed += 1;
    const verdict = ok ? 'ok' : 'FAILED';
    this.#drain();
    this.#write(`${verdict} ${what}: ${found}`, false);
    const [first = '', ...rest] = wrapped(shortened(`${what}: ${found}`), this.width - 4 - verdict.length);
    this.#screen(
      `   ${this.#paint(verdict, ok ? 'green' : 'red')} ${first}`,
      ...rest.map((line) => `   ${' '.repeat(verdict.length)} ${line}`),
    );
  }

  /** What is being waited for, on a terminal only, until the next line comes. */
  waiting(what: string): void {
    if (!this.#inPlace) return;
    this.#clearBar();
    this.#raw(`   ${this.#paint(`${what} ...`, 'dim')}`);
    this.#drawn = true;
  }

  /** How far something is: a bar in its place on a terminal, a few lines elsewhere. */
  progress(label: string, percent: number, activity: string): void {
    const before = this.#bar?.label === label ? this.#bar.percent : -1;
    if (percent <= before) return;
    const text = `   ${label.padEnd(labelWidth)} ${progressBar(percent)} ${activity}`;
    this.#bar = { label, percent };
    this.detail(`${label} ${percent} % ${activity}`);
    if (this.#inPlace) {
      this.#raw(`\r\u001b[K${text.slice(0, this.width)}`);
      this.#drawn = true;
    } else if (before < 0 || Math.floor(percent / 25) > Math.floor(before / 25)) this.#screen(text);
  }

  text(...lines: readonly string[]): void {
    this.#print(lines);
  }

  /** For the transcript only. */
  detail(line: string): void {
    this.#drain();
    this.#write(line, true);
  }

  /** Nothing more is shown: the demo is being ended. */
  silence(): void {
    this.#clearBar();
    this.#silent = true;
  }

  close(): void {
    this.#drain();
    closeSync(this.#file);
  }

  #paint(text: string, colour: keyof typeof colours): string {
    return this.#colour ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text;
  }

  #print(lines: readonly string[], colour?: keyof typeof colours): void {
    this.#drain();
    for (const line of lines) this.#write(line, false);
    this.#screen(...lines.map((line) => (colour && line !== '' ? this.#paint(line, colour) : line)));
  }

  #screen(...lines: readonly string[]): void {
    this.#clearBar();
    this.#raw(`${lines.join('\n')}\n`);
  }

  #clearBar(): void {
    if (this.#drawn) this.#raw('\r\u001b[K');
    this.#drawn = false;
  }

  #drain(): void {
    for (const source of this.#sources) for (const line of source()) this.#write(line, true);
  }

  #write(line: string, detail: boolean): void {
    const at = ((performance.now() - this.#began) / 1_000).toFixed(3).padStart(8);
    const text = `${at} ${detail ? '| ' : ''}${line}`.trimEnd();
    writeSync(this.#file, `${text}\n`);
    if (detail && this.#options.verbose) this.#screen(this.#paint(text, 'dim'));
  }

  #raw(text: string): void {
    if (!this.#silent) this.#options.terminal.write(text);
  }
}
