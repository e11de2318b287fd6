import { parseLine } from './cli-grammar.ts';
import type { Os9Line } from './os9-lines.ts';
import type { Os9Model } from './os9-model.ts';
import { commandsOf, type CommandLine, type Mode } from './os9-commands.ts';
import { Os9Refusal } from './os9-refusal.ts';
import { promptPort, writeVlans, groupPorts } from './os9-port-name.ts';
import { say, type Reply } from './os9-reply.ts';

/** The command line of one session: mode, prompt, and what each line does to the model. Knows nothing of sockets. */
export class Os9Cli implements CommandLine {
  readonly model: Os9Model;
  readonly line: Os9Line;
  mode: Mode;
  terminalLength: number;
  monitor = true;

  constructor(model: Os9Model, line: Os9Line, privilege: number, rows: number) {
    this.model = model;
    this.line = line;
    this.mode = { kind: privilege >= 15 ? 'privileged' : 'exec' };
    this.terminalLength = rows;
  }

  get prompt(): string {
    const { hostname } = this.model.running;
    if (this.mode.kind === 'exec') return `${hostname}${this.model.knobs.execMark}`;
    if (this.mode.kind === 'privileged') return `${hostname}#`;
    return `${hostname}(${this.#modeName()})#`;
  }

  /** The line with every keyword written out, as the switch understands it; null when it does not. */
  expand(typed: string): string | null {
    const parsed = parseLine(typed.split('|')[0]!, commandsOf(this.mode, this.model.knobs));
    if (parsed.found === null) return null;
    if (parsed.found.pattern !== 'do <line>') return parsed.found.meaning ?? parsed.expanded;
    return this.#parsePrivileged(parsed.values[0]!) ?? parsed.expanded;
  }

  execute(typed: string): Reply {
    const text = typed.trimEnd();
    if (text.trim() === '' || text.trimStart().startsWith('!')) return say([]);
    return this.run(text, this.mode, this.prompt.length);
  }

  run(text: string, mode: Mode, indent: number): Reply {
    const [head, filter] = splitPipe(text);
    const parsed = parseLine(head, commandsOf(mode, this.model.knobs));
    if (parsed.found === null) return this.#notUnderstood(text, parsed, indent);
    try {
      const result = parsed.found.run(this, parsed.values);
      const reply = 'lines' in result ? result : say(result);
      return filter ? { ...reply, lines: filter(reply.lines) } : reply;
    } catch (error) {
      if (error instanceof Os9Refusal) return this.refuse(error);
      throw error;
    }
  }

  refuse(refusal: Os9Refusal): Reply {
    const text = refusal.verbatim ? refusal.message : `${this.model.knobs.errorPrefix}${refusal.message}`;
    return { lines: [text], refused: true };
  }

  leaveConfiguration(): void {
    this.model.lines.leaveConfiguration(this.line);
    this.mode = { kind: this.model.knobs.endKeepsPrivilege ? 'privileged' : 'exec' };
  }

  get configuring(): boolean {
    return this.mode.kind !== 'exec' && this.mode.kind !== 'privileged';
  }

  #parsePrivileged(text: string): string | null {
    const parsed = parseLine(text.split('|')[0]!, commandsOf({ kind: 'privileged' }, this.model.knobs));
    return parsed.found === null ? null : `do ${parsed.expanded}`;
  }

  #notUnderstood(
    text: string,
    parsed: { error: 'invalid'; column: number } | { error: 'incomplete' | 'ambiguous' },
    indent: number,
  ): Reply {
    const { errorPrefix } = this.model.knobs;
    switch (parsed.error) {
      case 'invalid':
        return {
          lines: [`${' '.repeat(indent + parsed.column)}^`, `${errorPrefix}Invalid input at "^" marker.`],
          refused: true,
        };
      case 'incomplete':
        return { lines: [`${errorPrefix}Incomplete command.`], refused: true };
      case 'ambiguous':
        return { lines: [`${errorPrefix}Ambiguous command: "${text.trim()}".`], refused: true };
    }
  }

  #modeName(): string {
    const { portPrompt, rangeGrammar } = this.model.knobs;
    switch (this.mode.kind) {
      case 'vlan':
        return this.mode.range
          ? `conf-if-range-vl-${writeVlans(this.mode.ids)}`
          : `conf-if-vl-${this.mode.ids[0]!}`;
      case 'port':
        if (this.mode.range) {
          const groups = groupPorts(this.mode.ports, rangeGrammar);
          return `conf-if-range-${groups.map(({ short, ids }) => `${short.toLowerCase()}-${ids}`).join(',')}`;
        }
        return portPrompt === 'plain' ? 'conf-if' : `conf-if-${promptPort(this.mode.ports[0]!)}`;
      case 'lacp':
        return portPrompt === 'plain' ? 'conf-if-lacp' : `conf-if-${promptPort(this.mode.port)}-lacp`;
      case 'config':
      case 'exec':
      case 'privileged':
        return 'conf';
    }
  }
}

/** `show ... | no-more` and the other filters; a bar in anything but a show command is text. */
function splitPipe(text: string): [string, ((lines: readonly string[]) => readonly string[]) | null] {
  const match = /^(\s*(?:do\s+)?sh[a-z]*\s[^|]*)\|\s*(no-more|grep|except|find)\s*(.*)$/i.exec(text);
  if (!match) return [text, null];
  const wanted = match[3]!.trim();
  switch (match[2]!.toLowerCase()) {
    case 'grep':
      return [match[1]!, (lines) => lines.filter((line) => line.includes(wanted))];
    case 'except':
      return [match[1]!, (lines) => lines.filter((line) => !line.includes(wanted))];
    case 'find':
      return [
        match[1]!,
        (lines) => {
          const first = lines.findIndex((line) => line.includes(wanted));
          return first < 0 ? [] : lines.slice(first);
        },
      ];
    default:
      return [match[1]!, (lines) => lines];
  }
}
