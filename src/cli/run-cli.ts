import { CommanderError, type Command } from 'commander';
import { CodedError, deviceCodes, type Retry } from '../../plugin-api/index.ts';
import { asCodedError, serviceCodes, ServiceError } from '../kernel/errors/service-error.ts';
import { Exit, exitCodeOf, exitCodes } from './exit-code.ts';
import { csbmProgram } from './program.ts';
import { printable, type Terminal } from './terminal.ts';

/** Runs one command line (without `node` and script) and gives its exit code. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const json = asksForJson(args);
  try {
    const program = await csbmProgram(terminal, args);
    everyCommand(program, (command) => {
      command.exitOverride().configureOutput({
        writeOut: (text) => terminal.stdout.write(text),
        writeErr: (text) => terminal.stderr.write(text),
        outputError: (text, write) => write(printable(text)),
      });
    });
    await program.parseAsync([...args], { from: 'user' });
    return exitCodes.ok;
  } catch (thrown) {
    if (thrown instanceof Exit) return thrown.code;
    if (thrown instanceof CommanderError) return endOfParsing(thrown, terminal, json);
    const error = asCodedError(thrown);
    terminal.stderr.write(printable(errorText(error)));
    if (error.code === 'internal.bug' && thrown instanceof Error) {
      terminal.stderr.write(`${printable(thrown.stack ?? '')}\n`);
    }
    if (json) terminal.stdout.write(errorDocument(error));
    return exitCodeOf(error);
  }
}

/** Commander has written its text already. */
function endOfParsing(thrown: CommanderError, terminal: Terminal, json: boolean): number {
  if (thrown.exitCode === 0) return exitCodes.ok;
  // `command.error()` of a verb says how it ends; commander's own complaints are all about usage.
  const usage = thrown.code !== 'commander.error';
  if (usage && thrown.code !== 'commander.help')
    terminal.stderr.write('add --help to see what can be written here\n');
  if (json) {
    const what = thrown.message.replace(/^error: /, '');
    const error = usage ? new ServiceError({ code: 'cli.usage', what }) : codedText(what);
    terminal.stdout.write(errorDocument(error));
  }
  return usage ? exitCodes.usage : thrown.exitCode;
}

/** The text of a coded error ends with its code. */
function codedText(text: string): CodedError {
  const match = /^([\s\S]*?)\s*\[([a-z]+\.[a-z-]+)\]\s*$/.exec(text);
  const codes: Readonly<Record<string, { readonly retry: Retry } | undefined>> = {
    ...deviceCodes,
    ...serviceCodes,
  };
  const known = codes[match?.[2] ?? ''];
  return match && known
    ? new CodedError({ code: match[2]!, retry: known.retry, what: match[1]! })
    : new ServiceError({ code: 'cli.failed', what: text });
}

/** What, where, what the device said, what to do. */
export function errorText({ code, what, where, said, remedy }: CodedError): string {
  const lines = [`error: ${what.trimEnd()} [${code}]`];
  if (where) lines.push(`  where:   ${where}`);
  if (said) lines.push(`  it said: ${said}`);
  if (remedy) lines.push(`  to do:   ${remedy}`);
  return `${lines.join('\n')}\n`;
}

function errorDocument(error: CodedError): string {
  return `${JSON.stringify({ error: { ...error.toJSON(), message: error.message } }, null, 2)}\n`;
}

function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}

function everyCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) everyCommand(child, visit);
}
