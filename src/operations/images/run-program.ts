import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import type { Readable, Writable } from 'node:stream';

export interface ProgramStreams {
  /** What the program reads; default nothing. A number is an open file. */
  readonly stdin?: Readable | number;
  /** What takes its standard output; default: kept in `out`. */
  readonly stdout?: (output: Readable) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramEnd {
  /** Exit code; null = it was ended by `by`. */
  readonly code: number | null;
  readonly by: NodeJS.Signals | null;
  /** Standard output, at most {@link mostOutput} characters of it. */
  readonly out: string;
  /** The end of its standard error. */
  readonly said: string;
}

/** In characters; answers of qemu-img have some hundred. */
const mostOutput = 64 * 1024;

/**
 * Runs a program without a shell, at low priority, and waits for its end. It gets nothing of our environment but PATH.
 * @returns null when there is no such program
 * @throws the signal's reason after an abort; the program has ended then. What `stdout` throws.
 */
export async function runProgram(
  name: string,
  args: readonly string[],
  { stdin, stdout, signal }: ProgramStreams = {},
): Promise<ProgramEnd | null> {
  signal?.throwIfAborted();
  const child = spawn(name, args, {
    stdio: [typeof stdin === 'number' ? stdin : stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const kill = (): void => void child.kill('SIGKILL');
  try {
    await once(child, 'spawn');
  } catch (error) {
    closed.catch(() => undefined);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  // Packing a disk would otherwise take the processors from everything else for minutes.
  if (child.pid !== undefined) lower(child.pid);
  signal?.addEventListener('abort', kill, { once: true });
  if (signal?.aborted) kill();
  let out = '';
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-500)));
  if (stdin instanceof Object) {
    // A program that ends early breaks the pipe; its exit code tells why.
    const input = child.stdin as Writable;
    input.on('error', () => stdin.destroy());
    stdin.on('error', kill).pipe(input);
  }
  try {
    if (stdout) await stdout(child.stdout!);
    else
      for await (const chunk of child.stdout!)
        if (out.length < mostOutput) out += (chunk as Buffer).toString();
    const [code, by] = await closed;
    signal?.throwIfAborted();
    return { code, by, out, said: said.trim() };
  } catch (error) {
    kill();
    await closed;
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', kill);
  }
}

function lower(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already, or the system does not allow it: it works all the same.
  }
}
