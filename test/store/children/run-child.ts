import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** The lines it prints. */
  readonly lines: AsyncIterator<string, undefined>;
  /** Kills it as a crash would, and resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts a TypeScript file of this folder as a process of its own. */
export function runChild(name: string, args: readonly string[]): Child {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    process: child,
    pid: child.pid!,
    lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() as Child['lines'],
    kill: () => {
      child.kill('SIGKILL');
      return gone;
    },
  };
}
