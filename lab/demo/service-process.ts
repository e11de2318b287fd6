import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync, type WriteStream } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** A csbm service as a process of its own, as an operator would run it. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #log: WriteStream;
  readonly #listeners = new Set<(line: Readonly<Record<string, unknown>>) => void>();
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  adminUrl = '';
  bootUrl = '';
  /** Null = the MAAS API is not served. */
  maasUrl: string | null = null;

  /** Starts `csbm serve` and waits until it is up. @throws Error with the end of its log when it does not come up. */
  static async start(options: ServiceProcessOptions): Promise<ServiceProcess> {
    const service = new ServiceProcess(options);
    await service.up();
    return service;
  }

  /** Starts the process, and waits for nothing. */
  constructor(options: ServiceProcessOptions) {
    this.#logFile = options.logFile;
    this.#log = createWriteStream(options.logFile, { flags: 'a' });
    this.#child = spawn(process.execPath, [...entry(), 'serve', '--config', options.configFile], {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: options.apart ?? false,
    });
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => resolve(code ?? signal ?? 'gone'));
    });
    this.#follow(this.#child.stderr!);
    this.#follow(this.#child.stdout!);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Calls `listener` with each line of the service's log. */
  onLog(listener: (line: Readonly<Record<string, unknown>>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends a signal, and waits for nothing. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#gone();
  }

  /** Kill -9: nothing is put in order. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone();
  }

  async #gone(): Promise<void> {
    await this.exited;
    await new Promise<void>((resolve) => this.#log.end(resolve));
  }

  #follow(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      this.#log.write(text);
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const parsed = parse(line);
        if (parsed) for (const listener of this.#listeners) listener(parsed);
      }
    });
  }

  /** Resolves once it serves. @throws Error with the end of its log when it does not come up. */
  async up(): Promise<void> {
    const up = new Promise<void>((resolve) => {
      const off = this.onLog((line) => {
        if (line['msg'] !== 'csbm is up') return;
        off();
        this.adminUrl = String(line['adminUrl']);
        this.bootUrl = String(line['bootUrl']);
        this.maasUrl = typeof line['maasUrl'] === 'string' ? line['maasUrl'] : null;
        resolve();
      });
    });
    const failed = await Promise.race([up.then(() => null), this.exited]);
    if (failed === null) return;
    const tail = existsSync(this.#logFile)
      ? readFileSync(this.#logFile, 'utf8').split('\n').slice(-12).join('\n')
      : '';
    throw new Error(`the service ended with ${failed} before it was up:\n${tail}`);
  }
}

/** A service that somebody started. */
export type RunningService = Pick<ServiceProcess, 'adminUrl' | 'bootUrl' | 'maasUrl' | 'exited' | 'stop'>;

export interface ServiceProcessOptions {
  readonly configFile: string;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** In a process group of its own, so that Ctrl-C in the terminal does not reach it; default false. */
  readonly apart?: boolean;
}

/** The compiled program when this file is compiled; the sources through tsx when it is not. */
function entry(): readonly string[] {
  const here = fileURLToPath(import.meta.url);
  const extension = path.extname(here);
  const main = path.resolve(path.dirname(here), `../../src/cli/main${extension}`);
  if (extension === '.js') return ['--enable-source-maps', main];
  const built = path.resolve(path.dirname(here), '../../dist/src/cli/main.js');
  return existsSync(built) ? ['--enable-source-maps', built] : ['--import', 'tsx', main];
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}
