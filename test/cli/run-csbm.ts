import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { runCli } from '../../src/cli/run-cli.ts';
import type { Input, Output } from '../../src/cli/terminal.ts';

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Standard output and error are a terminal, and what is typed there. */
  readonly keys?: string;
  /** Ctrl-C. */
  readonly interrupt?: AbortSignal;
  /** Sees what is printed while it is printed. */
  readonly onOutput?: (soFar: string) => void;
}

/** Runs csbm in this process. Nothing of the surrounding environment reaches it. */
export async function csbm(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const isTTY = options.keys !== undefined;
  const out = new Capture(isTTY, options.onOutput);
  const err = new Capture(isTTY);
  const code = await runCli(args, {
    stdin: isTTY ? typing(options.keys ?? '') : Readable.from([Buffer.from(options.stdin ?? '')]),
    stdout: out,
    stderr: err,
    env: options.env ?? {},
    cwd: options.cwd ?? '/',
    interrupted: () => options.interrupt ?? new AbortController().signal,
  });
  return { code, out: out.text, err: err.text };
}

class Capture extends Writable implements Output {
  readonly isTTY: boolean;
  readonly columns = 100;
  text = '';

  constructor(isTTY: boolean, onOutput?: (soFar: string) => void) {
    super({
      write: (chunk: Buffer, _encoding, done) => {
        this.text += chunk.toString();
        onOutput?.(this.text);
        done();
      },
    });
    this.isTTY = isTTY;
  }
}

/** A terminal in raw mode gives what is typed, key by key; in cooked mode nothing is typed here. */
function typing(keys: string): Input {
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => {
      if (on) for (const key of keys) stdin.write(key);
    },
  });
  return stdin;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const tsx = fileURLToPath(import.meta.resolve('tsx'));
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Starts csbm as a process of its own, from its sources. */
export function startCsbm(
  args: readonly string[],
  options: Pick<RunOptions, 'env' | 'cwd'> = {},
): ChildProcess {
  return spawn(process.execPath, ['--enable-source-maps', '--import', tsx, main, ...args], {
    cwd: options.cwd ?? root,
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Waits for its end. */
export async function ended(child: ChildProcess, stdin = ''): Promise<Ended> {
  child.stdin!.end(stdin);
  const closed = once(child, 'close') as Promise<[number | null]>;
  const [out, err, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), closed]);
  return { code, out, err };
}
