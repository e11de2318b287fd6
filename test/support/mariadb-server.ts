import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection, type Connection } from 'mysql2';
import { until } from './until.ts';
import { freeTcpPort } from './free-port.ts';

const run = promisify(execFile);
/** Where administrators' programs live, which is not in every user's PATH. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

/** Debian's MariaDB as a plain process of its own, in a folder of its own, that nobody else can reach. */
export class MariadbServer {
  readonly #folder: string;
  readonly #arguments: readonly string[];
  readonly port: number | null;
  #process: ChildProcess | null = null;

  /**
   * Makes a new server and waits until it answers.
   * @param options.port whether it listens on loopback too
   * @param options.arguments more options of `mariadbd`
   */
  static async start(
    options: { readonly port?: boolean; readonly arguments?: readonly string[] } = {},
  ): Promise<MariadbServer> {
    const port = options.port ? await freeTcpPort() : null;
    const server = new MariadbServer(port, options.arguments ?? []);
    try {
      await run(
        'mariadb-install-db',
        [
          '--no-defaults',
          '--auth-root-authentication-method=normal',
          '--skip-test-db',
          `--datadir=${server.dataFolder}`,
          ...user(),
        ],
        { env: server.#env },
      );
      await server.begin();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  private constructor(port: number | null, more: readonly string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'csbm-mariadb-'));
    this.port = port;
    this.#arguments = more;
  }

  /** Its root has no password. */
  get socket(): string {
    return join(this.#folder, 'socket');
  }

  get dataFolder(): string {
    return join(this.#folder, 'data');
  }

  /** A server that starts clears away what looks like temporary tables in its folder for them, also those of another one. */
  get #env(): NodeJS.ProcessEnv {
    return { ...env, TMPDIR: this.#folder };
  }

  /** Starts it, or starts it again after an end, and waits until it answers. */
  async begin(): Promise<void> {
    const log = join(this.#folder, 'log');
    const child = spawn(
      'mariadbd',
      [
        '--no-defaults',
        `--datadir=${this.dataFolder}`,
        `--socket=${this.socket}`,
        `--log-error=${log}`,
        `--pid-file=${join(this.#folder, 'pid')}`,
        '--performance-schema=off',
        '--innodb-buffer-pool-size=64M',
        '--innodb-log-file-size=32M',
        ...(this.port === null ? ['--skip-networking'] : ['--bind-address=127.0.0.1', `--port=${this.port}`]),
        ...user(),
        ...this.#arguments,
      ],
      { env: this.#env, stdio: 'ignore' },
    );
    this.#process = child;
    await until(
      async () => {
        if (child.exitCode !== null)
          throw new Error(
            `mariadbd ended:\n${existsSync(log) ? readFileSync(log, 'utf8').slice(-2_000) : ''}`,
          );
        return this.#answers();
      },
      'MariaDB to answer',
      60_000,
    );
  }

  /** Ends it in order, or as a crash would. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await gone;
  }

  /** Stops it where it stands (SIGSTOP), or lets it go on (SIGCONT); nothing while it is ended. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.kill(signal);
  }

  /** Ends it and removes everything of it. Idempotent. */
  async stop(): Promise<void> {
    await this.end('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Runs one statement, or several. */
  ask(statement: string, database?: string): Promise<readonly Record<string, unknown>[]> {
    return askMariadb(this.socket, statement, database);
  }

  async #answers(): Promise<boolean> {
    return (
      existsSync(this.socket) &&
      this.ask('SELECT 1').then(
        () => true,
        () => false,
      )
    );
  }
}

/** Runs one statement, or several, as root. */
export async function askMariadb(
  socket: string,
  statement: string,
  database?: string,
): Promise<readonly Record<string, unknown>[]> {
  const connection: Connection = createConnection({
    socketPath: socket,
    user: 'root',
    ...(database !== undefined && { database }),
    multipleStatements: true,
  });
  try {
    return await new Promise((resolve, reject) => {
      connection.query(statement, (error, rows) =>
        error ? reject(error) : resolve(rows as unknown as readonly Record<string, unknown>[]),
      );
    });
  } finally {
    connection.destroy();
  }
}

/** `mariadbd` does not run as root unless it is told to. */
function user(): readonly string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}
