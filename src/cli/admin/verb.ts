import type { Command } from 'commander';
import { AdminClient } from '../admin-client.ts';
import { findTarget, type TargetOptions } from '../credentials.ts';
import { printable, type Terminal } from '../terminal.ts';

/** Options of every verb that talks to the service. */
export interface AdminOptions extends TargetOptions {
  readonly json?: true;
}

/** Gives a verb the options by which it finds the service. The token itself is never an argument: those are seen by everyone. */
export function adminVerb(command: Command): Command {
  return command
    .option('--url <url>', 'where the service is (default: CSBM_URL, csbm.yaml, or http://127.0.0.1:8440)')
    .option('--token-file <file>', 'file with the token (default: CSBM_TOKEN, CSBM_TOKEN_FILE, or csbm.yaml)')
    .option(
      '--ca <file>',
      'CA that issued the certificate of an https service (default: CSBM_CA, or the well-known CAs)',
    )
    .option('--insecure', 'believe any certificate: whoever sits in between gets the token')
    .option('--json', 'print one JSON document');
}

/** One run of such a verb. */
export interface AdminRun {
  readonly client: AdminClient;
  readonly terminal: Terminal;
  readonly json: boolean;
  /** Prints the document, or, for people, the text. */
  readonly print: (document: unknown, text: () => string) => void;
}

export async function adminRun(terminal: Terminal, options: AdminOptions): Promise<AdminRun> {
  const json = options.json ?? false;
  if (options.insecure) terminal.stderr.write('warning: --insecure: whoever answers there gets the token\n');
  const client = new AdminClient(await findTarget(options, terminal));
  return { client, terminal, json, print: printer(terminal, json) };
}

/** For verbs that need no service. */
export function printer(terminal: Terminal, json: boolean): AdminRun['print'] {
  return (document, text) => {
    const output = json ? JSON.stringify(document, null, 2) : printable(text());
    terminal.stdout.write(`${output.trimEnd()}\n`);
  };
}
