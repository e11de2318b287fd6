import type { Readable, Writable } from 'node:stream';

/** A standard input that may be a terminal whose echo can be switched off. */
export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };

/** A standard output or standard error that may be a terminal of some width. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Where a command runs: given to it, so that tests need no process. */
export interface Terminal {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** From the first call on, Ctrl-C aborts the signal instead of ending the process. */
  interrupted(): AbortSignal;
}

export function processTerminal(): Terminal {
  let interrupted: AbortController | undefined;
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    interrupted: () => {
      if (!interrupted) {
        const controller = new AbortController();
        process.once('SIGINT', () => controller.abort(new Error('interrupted')));
        interrupted = controller;
      }
      return interrupted.signal;
    },
  };
}

/** Text from elsewhere (a switch, a BMC, a name) made harmless for a terminal: control characters other than newlines are shown, not sent. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are what must not reach a terminal
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, (character) =>
    character === '\t' ? ' ' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
