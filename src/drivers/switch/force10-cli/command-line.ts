import { startTimer } from '../../../kernel/clock/start-timer.ts';
import { withDeadline } from '../../../kernel/concurrency/deadline.ts';
import {
  DeviceError,
  type Clock,
  type DeviceCode,
  type Duration,
  type Secret,
} from '../../../../plugin-api/index.ts';
import {
  isLogLine,
  isPager,
  isPasswordPrompt,
  isQuestion,
  parsePrompt,
  promptBeforeLog,
  splitPrompt,
  type Prompt,
} from './prompt.ts';
import { findRefusal, oneLine } from './refusal.ts';
import type { SwitchShell } from './ssh-shell.ts';
import { TerminalText } from './terminal-text.ts';

export interface Answer {
  /** What the switch printed between the echo of the command and the next prompt, without log lines. */
  readonly lines: readonly string[];
  readonly prompt: Prompt;
}

export interface CommandOptions {
  readonly timeout: Duration;
  readonly signal?: AbortSignal | undefined;
  /** What to say to a yes/no question; without it a question is an error. */
  readonly confirm?: 'yes' | undefined;
}

/**
 * A conversation with the command line of OS9: send a line, read until the prompt.
 *
 * A prompt is believed at once when it names the learned host, stands alone at the end of what was sent, and comes after the
 * echo of the command. Any other text that looks like a prompt (a hostname changed meanwhile, a prompt redrawn after a log
 * line, an echo torn by one) is believed only when the line then stays silent.
 */
export class CommandLine {
  readonly #shell: SwitchShell;
  readonly #clock: Clock;
  readonly #settle: Duration;
  readonly #where: string;
  readonly #text = new TerminalText();
  #host: string | null = null;
  #closed: string | null = null;
  #news = false;
  #wake: (() => void) | null = null;
  #enablePassword: Secret | undefined;

  /** @param where the switch, for messages */
  constructor(shell: SwitchShell, clock: Clock, settle: Duration, where: string) {
    this.#shell = shell;
    this.#clock = clock;
    this.#settle = settle;
    this.#where = where;
    shell.onData((chunk) => {
      if (this.#closed === null) this.#read(chunk);
      this.#tell();
    });
    shell.onClosed((reason) => {
      this.#closed = reason;
      this.#tell();
    });
  }

  /** Waits for the first prompt, answering a banner that wants to be acknowledged, and learns the hostname from it. */
  async firstPrompt(options: CommandOptions): Promise<Prompt> {
    const prompt = await this.#until('the first prompt', options, (silent) => {
      if (this.#page()) return null;
      if (isQuestion(this.#text.current)) {
        this.#text.clearCurrent();
        this.#shell.write('y\r');
        return null;
      }
      if (!silent) return null;
      return parsePrompt(this.#text.current) ?? this.#promptBeforeLog(0);
    });
    this.#host = prompt.host;
    return prompt;
  }

  /** @throws DeviceError `switch.timeout`, `switch.session-lost`, `switch.protocol` for an unexpected question */
  async run(command: string, options: CommandOptions): Promise<Answer> {
    this.#text.clear();
    this.#shell.write(`${command}\r`);
    return this.#until(`the answer to "${command}"`, options, (silent) => {
      if (this.#page()) return null;
      if (isQuestion(this.#text.current)) {
        if (options.confirm === undefined) {
          // A description may look like one for as long as the rest of its line has not arrived.
          if (!silent) return null;
          throw this.#error('switch.protocol', `it asks a question to "${command}"`, this.#lastWords());
        }
        this.#text.clearCurrent();
        this.#shell.write(`${options.confirm}\r`);
        return null;
      }
      const prompt = this.#prompt(command, silent);
      return prompt && { lines: this.#answer(command), prompt };
    });
  }

  /**
   * `enable`, with the password if it is asked for.
   * @throws DeviceError `switch.auth`
   */
  async enable(password: Secret | undefined, options: CommandOptions): Promise<Prompt> {
    const refuse = (what: string): DeviceError =>
      this.#error('switch.auth', what, this.#refusal() ?? this.#lastWords());
    let sent = 0;
    this.#enablePassword = password;
    this.#text.clear();
    this.#shell.write('enable\r');
    const prompt = await this.#until('the privileged prompt', options, (silent) => {
      if (isPasswordPrompt(this.#text.current)) {
        if (sent > 0) throw refuse('the enable password was refused');
        if (password === undefined)
          throw refuse('an enable password is asked for, and the rack config has none');
        sent += 1;
        this.#text.clearCurrent();
        this.#shell.write(`${password.reveal()}\r`);
        return null;
      }
      return this.#prompt('enable', silent);
    });
    if (prompt.privileged) return prompt;
    throw refuse(sent > 0 ? 'the enable password was refused' : 'this user may not enter privileged mode');
  }

  #read(chunk: Buffer): void {
    try {
      this.#text.feed(chunk);
    } catch (error) {
      // Whoever talks without end is no switch, or not in its senses: what it says is not kept.
      this.#text.clear();
      this.#closed = (error as Error).message;
    }
  }

  /** Sends the space that turns the page. */
  #page(): boolean {
    if (!isPager(this.#text.current)) return false;
    this.#text.clearCurrent();
    this.#shell.write(' ');
    return true;
  }

  #prompt(command: string, silent: boolean): Prompt | null {
    const prompt = parsePrompt(this.#text.current);
    if (!prompt) {
      const start = this.#answerAt(command);
      return silent && start > 0 ? this.#promptBeforeLog(start) : null;
    }
    const lastLine = this.#text.lines.findLast((line) => line !== '') ?? '';
    const certain = prompt.host === this.#host && this.#answerAt(command) > 0 && !isLogLine(lastLine);
    if (!certain && !silent) return null;
    this.#host = prompt.host;
    return prompt;
  }

  /** OS9 does not always draw the prompt again when the log wrote behind it, above all after each `end`. */
  #promptBeforeLog(start: number): Prompt | null {
    if (this.#text.current !== '') return null;
    const last = this.#text.lines.slice(start).findLast((line) => line !== '' && !isLogLine(line));
    return last === undefined ? null : promptBeforeLog(last);
  }

  /**
   * The line after the echo of the command, 0 when it was not echoed. A switch that pays no heed to the width we asked for breaks
   * the echo of a long command in the middle (where white space at the end of a line was lost), or shows `$` and its end.
   */
  #answerAt(command: string): number {
    const wanted = command.replaceAll(' ', '');
    for (const [start, line] of this.#text.lines.entries()) {
      let shown = splitPrompt(line).rest.replaceAll(' ', '');
      if (shown === '') continue;
      if (shown.length > 1 && shown.startsWith('$') && wanted.endsWith(shown.slice(1))) return start + 1;
      for (let end = start + 1; wanted.startsWith(shown); end += 1) {
        if (shown === wanted) return end;
        const more = this.#text.lines[end];
        if (more === undefined) break;
        shown += more.replaceAll(' ', '');
      }
    }
    return 0;
  }

  #answer(command: string): string[] {
    return this.#text.lines
      .slice(this.#answerAt(command))
      .filter((line) => !isLogLine(line) && promptBeforeLog(line) === null);
  }

  /** Asks `accept` after each arrival, and once more when the line has been silent for the settling time. */
  async #until<T>(
    awaited: string,
    options: CommandOptions,
    accept: (silent: boolean) => T | null,
  ): Promise<T> {
    const timedOut = (): Error =>
      this.#error('switch.timeout', `${awaited} did not come in time`, this.#lastWords());
    const wait = async (signal: AbortSignal): Promise<T> => {
      for (;;) {
        const found = accept(false);
        if (found !== null) return found;
        if (this.#closed !== null)
          throw this.#error('switch.session-lost', `the session ended before ${awaited}`, this.#closed);
        if (await this.#arrival(signal, this.#settle)) continue;
        const settled = accept(true);
        if (settled !== null) return settled;
        await this.#arrival(signal);
      }
    };
    return withDeadline(this.#clock, options.timeout, timedOut, wait, options.signal);
  }

  /** True when something came (or the session ended), false when nothing did `within` that time. */
  #arrival(signal: AbortSignal, within?: Duration): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let stop: (() => void) | null = null;
      const settle = (act: () => void): void => {
        this.#wake = null;
        this.#news = false;
        signal.removeEventListener('abort', onAbort);
        stop?.();
        act();
      };
      const onAbort = (): void => settle(() => reject(signal.reason as Error));
      if (signal.aborted) return onAbort();
      if (this.#news) return settle(() => resolve(true));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#wake = () => settle(() => resolve(true));
      if (within === undefined) return;
      stop = startTimer(this.#clock, within, () => settle(() => resolve(false)));
    });
  }

  #tell(): void {
    this.#news = true;
    this.#wake?.();
  }

  #refusal(): string | null {
    return findRefusal(this.#text.lines.map((line) => this.#withoutPassword(line)));
  }

  #lastWords(): string {
    return oneLine(
      [...this.#text.lines.slice(-3), this.#text.current].map((line) => this.#withoutPassword(line)),
    );
  }

  /** A switch may repeat what it was sent. Asked of whole lines: of a password cut short, the beginning would stay. */
  #withoutPassword(line: string): string {
    return this.#enablePassword ? line.replaceAll(this.#enablePassword.reveal(), '***') : line;
  }

  #error(code: DeviceCode, what: string, said: string): DeviceError {
    return new DeviceError({ code, what, where: this.#where, said });
  }
}
