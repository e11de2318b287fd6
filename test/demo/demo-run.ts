import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** How a demo ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** One demo as a process of its own, with a temporary folder of its own. */
export class DemoRun {
  readonly temporary: string;
  readonly #child;
  #output = '';
  readonly ended: Promise<Ended>;

  constructor(temporary: string, env: Readonly<Record<string, string>> = {}) {
    this.temporary = temporary;
    this.#child = spawn(process.execPath, ['--import', 'tsx', 'lab/demo/main.ts'], {
      cwd: root,
      env: { ...process.env, KEEP: '', V: '', CSBM_DEMO_FAULT: '', ...env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code) => resolve({ code, output: this.#output }));
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get output(): string {
    return this.#output;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves once the output holds `text`. @throws Error when the demo ends first. */
  async says(text: string): Promise<void> {
    const ended = this.ended.then(() => true);
    while (!this.#output.includes(text)) {
      const more = new Promise<false>((resolve) => this.#child.stdout.once('data', () => resolve(false)));
      if ((await Promise.race([ended, more])) && !this.#output.includes(text))
        throw new Error(`the demo ended before it said "${text}":\n${this.#output}`);
    }
  }

  /** Addresses of loopback that the output names, as port numbers. */
  ports(): number[] {
    return [...this.#output.matchAll(/127\.0\.0\.1:(\d+)/g)].map((match) => Number(match[1]));
  }

  /** What lies in its temporary folder, but for the caches of the tools that run it. */
  left(): string[] {
    return readdirSync(this.temporary).filter((name) => name.startsWith('csbm-'));
  }
}

/** Runs one of the demo's other programs to its end. */
export function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

export const stopDemos = ['--import', 'tsx', path.join(root, 'lab/demo/stop-demos.ts')];
