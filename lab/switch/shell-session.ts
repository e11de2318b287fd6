import { milliseconds, type Clock } from '../../plugin-api/index.ts';
import type { Behaviour, Behaviours } from './behaviours.ts';
import type { ChunkedOutput } from './chunked-output.ts';
import type { LineEditor } from './line-editor.ts';
import type { Os9Cli } from './os9-cli.ts';
import type { Reply } from './os9-reply.ts';
import { Os9Refusal } from './os9-refusal.ts';
import type { Transcript } from './transcript.ts';

/** What a session needs of the switch around it. */
export interface ShellSurroundings {
  readonly clock: Clock;
  readonly behaviours: Behaviours;
  readonly transcript: Transcript;
  /** Aborted when the switch is stopped for good. */
  readonly stopped: AbortSignal;
  /** Milliseconds that the switch takes for a command. */
  latency(): number;
  /** Restarts the switch; ends every session. */
  reload(newHostKey: boolean): void;
}

export interface ShellOptions {
  readonly id: number;
  /** TCP port of the other end. */
  readonly from: number;
  readonly cli: Os9Cli;
  readonly editor: LineEditor;
  readonly output: ChunkedOutput;
  /** Echo needs a terminal. */
  readonly terminal: boolean;
  /** Width of the terminal, 0 = endless. */
  readonly columns: () => number;
  /** Text before the first prompt that must be answered with `y`, or null. */
  readonly acknowledge: string | null;
  /** Ends the session, with a goodbye or (broken) without. */
  readonly end: (how: 'goodbye' | 'broken') => void;
  /** Aborted when the session is over. */
  readonly signal: AbortSignal;
}

/** One terminal session: reads lines, lets the command line answer, and does what the behaviours ask for around it. */
export async function runShell(around: ShellSurroundings, options: ShellOptions): Promise<void> {
  try {
    await new Shell(around, options).run();
  } catch (error) {
    if (!options.signal.aborted) throw error;
  }
}

class Shell {
  readonly #around: ShellSurroundings;
  readonly #options: ShellOptions;
  readonly #cli: Os9Cli;

  constructor(around: ShellSurroundings, options: ShellOptions) {
    this.#around = around;
    this.#options = options;
    this.#cli = options.cli;
  }

  async run(): Promise<void> {
    const { editor, output, terminal, columns, acknowledge } = this.#options;
    if (acknowledge !== null && !(await this.#acknowledged(acknowledge))) {
      this.#options.end('goodbye');
      return;
    }
    let later: Later = { after: [], 'on the prompt': [] };
    while (!this.#over()) {
      const { prompt } = this.#cli;
      output.prompt(prompt);
      if (later.after.length > 0) {
        output.text(`\r\n${later.after.map((line) => `${line}\r\n`).join('')}`);
        output.prompt(prompt);
      }
      for (const line of later['on the prompt']) output.text(`${line}\r\n`);
      later = { after: [], 'on the prompt': [] };
      const typed = await editor.readLine(terminal, prompt.length, columns());
      if (typed.kind === 'closed') return;
      if (typed.kind === 'end' && this.#cli.configuring) this.#cli.leaveConfiguration();
      if (typed.kind !== 'line') continue;
      const outcome = await this.#command(typed.text);
      if (outcome === 'over') return;
      later = outcome;
    }
  }

  #over(): boolean {
    return this.#options.signal.aborted;
  }

  async #acknowledged(text: string): Promise<boolean> {
    const { editor, output, terminal, columns } = this.#options;
    for (;;) {
      output.text(`${text.replaceAll('\n', '\r\n')} [y/n]: `);
      const typed = await editor.readLine(terminal, 0, columns());
      if (typed.kind === 'closed') return false;
      if (typed.kind === 'line' && /^y(es)?$/i.test(typed.text.trim())) return true;
      if (typed.kind === 'line' && /^no?$/i.test(typed.text.trim())) return false;
    }
  }

  /** Runs one line; gives the lines to throw in behind the next prompt, or `over` when there is none. */
  async #command(text: string): Promise<Later | 'over'> {
    const { clock, behaviours, transcript } = this.#around;
    const { signal, id, from } = this.#options;
    const expanded = this.#cli.expand(text);
    const prompt = this.#cli.prompt;
    const striking = text.trim() === '' ? [] : behaviours.strike(text.trim(), expanded);
    for (const behaviour of striking) await this.#before(behaviour);
    if (this.#over()) return 'over';
    const latency = text.trim() === '' ? 0 : this.#around.latency();
    if (latency > 0) await clock.sleep(milliseconds(latency), signal);

    const denial = striking.map(denialOf).find((words) => words !== null) ?? null;
    const reply: Reply =
      denial !== null
        ? this.#cli.refuse(new Os9Refusal(denial, true))
        : striking.some(({ do: what }) => what === 'ignore')
          ? { lines: [], refused: false }
          : this.#cli.execute(text);
    if (text.trim() !== '')
      transcript.command({
        session: id,
        from,
        user: this.#cli.line.user,
        prompt,
        line: text,
        expanded,
        refused: reply.refused,
      });
    for (const behaviour of striking) await this.#after(behaviour);
    if (this.#over()) return 'over';
    const noise = this.#noise(striking);
    if (!(await this.#answer(reply, noise))) return 'over';
    return noise;
  }

  /** Prints a reply and asks its questions; false when the session is over. */
  async #answer(reply: Reply, noise: Noise): Promise<boolean> {
    const { output, editor, terminal, columns, id, from } = this.#options;
    let current = reply;
    let { lines } = current;
    if (noise.within.length > 0) {
      const half = Math.ceil(lines.length / 2);
      lines = [...lines.slice(0, half), ...noise.within, ...lines.slice(half)];
    }
    lines = [...noise.before, ...lines];
    for (;;) {
      if (!(await this.#print(lines))) return false;
      if (current.end === 'reload') {
        this.#around.reload(false);
        return false;
      }
      if (current.end === 'logout') {
        this.#options.end('goodbye');
        return false;
      }
      const question = current.ask;
      if (!question) return true;
      output.text(question.text);
      const typed = await editor.readLine(terminal && question.echo, question.text.length, columns());
      if (typed.kind === 'closed') return false;
      if (typed.kind !== 'line') return true;
      this.#around.transcript.answer(id, from, question.text, question.echo ? typed.text : '***');
      current = question.answer(typed.text);
      lines = current.lines;
    }
  }

  /** Prints lines, page by page unless `terminal length 0`; false when the input ended at a page. */
  async #print(lines: readonly string[]): Promise<boolean> {
    const { output, editor } = this.#options;
    const page = this.#cli.terminalLength > 0 ? Math.max(1, this.#cli.terminalLength - 1) : Infinity;
    const { pager } = this.#cli.model.knobs;
    let room = page;
    for (const [index, line] of lines.entries()) {
      if (room === 0) {
        output.text(pager);
        const key = await editor.readKey();
        if (key === null) return false;
        output.text(`${'\b'.repeat(pager.length)}${' '.repeat(pager.length)}${'\b'.repeat(pager.length)}`);
        if (key === 0x71 || key === 0x03) return true;
        room = key === 0x0d || key === 0x0a ? 1 : Math.min(page, lines.length - index);
      }
      output.text(`${line}\r\n`);
      room--;
    }
    return true;
  }

  async #before(behaviour: Behaviour): Promise<void> {
    const { model } = this.#cli;
    switch (behaviour.do) {
      case 'delay':
        return this.#around.clock.sleep(milliseconds(behaviour.ms), this.#options.signal);
      case 'disconnect':
      case 'hang':
      case 'reload':
      case 'edit':
        if (behaviour.when === 'before') await this.#strike(behaviour);
        return;
      case 'lock': {
        model.lines.lockByOther(behaviour.user);
        // The lock outlives this session, so it is not tied to the session's signal.
        void this.#around.clock.sleep(milliseconds(behaviour.ms), this.#around.stopped).then(
          () => model.lines.forgetLock(),
          () => undefined,
        );
        return;
      }
      case 'hostname':
        model.edit('admin', (running) => (running.hostname = behaviour.name));
        return;
      case 'refuse':
      case 'ignore':
      case 'fail-save':
      case 'noise':
        return;
    }
  }

  async #after(behaviour: Behaviour): Promise<void> {
    if ('when' in behaviour && behaviour.when === 'after') await this.#strike(behaviour);
  }

  async #strike(behaviour: Extract<Behaviour, { when: unknown }>): Promise<void> {
    switch (behaviour.do) {
      case 'disconnect':
        this.#options.end('broken');
        return;
      case 'hang':
        return new Promise((_resolve, reject) =>
          this.#options.signal.addEventListener('abort', () => reject(new Error('session is over')), {
            once: true,
          }),
        );
      case 'reload':
        this.#around.reload(behaviour.newHostKey ?? false);
        return;
      case 'edit':
        behaviour.edit(this.#cli.model);
        return;
    }
  }

  #noise(striking: readonly Behaviour[]): Noise {
    const heard = this.#cli.monitor && this.#cli.model.running.loggingMonitor;
    const at = (where: keyof Noise): string[] =>
      striking.flatMap((behaviour) =>
        heard && behaviour.do === 'noise' && behaviour.where === where ? [...behaviour.lines] : [],
      );
    return {
      before: at('before'),
      within: at('within'),
      after: at('after'),
      'on the prompt': at('on the prompt'),
    };
  }
}

type Noise = Readonly<Record<Extract<Behaviour, { do: 'noise' }>['where'], readonly string[]>>;

/** What is thrown in behind the next prompt. */
type Later = Pick<Noise, 'after' | 'on the prompt'>;

function denialOf(behaviour: Behaviour): string | null {
  if (behaviour.do === 'refuse') return behaviour.text;
  if (behaviour.do === 'fail-save') return behaviour.text ?? '% Error: No space left on device.';
  return null;
}
