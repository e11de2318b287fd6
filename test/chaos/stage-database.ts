import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createConnection, type Connection } from 'mysql2';
import { openSqliteHandle, type SqliteHandle } from '../../src/store/sqlite-handle.ts';
import { MariadbServer } from '../support/mariadb-server.ts';

/** What may befall the database of a stage's service. What makes no sense on a kind of database does nothing there. */
export interface StageDatabase {
  readonly type: 'sqlite' | 'mariadb';
  /** Where it is, for the service. */
  readonly env: Readonly<Record<string, string>>;
  /** Somebody else holds all of it. */
  lock(): Promise<void>;
  unlock(): void;
  /** No file of the service's may grow by more than so many bytes. */
  limit(room: number): void;
  unlimit(): void;
  crash(): Promise<void>;
  recover(): Promise<void>;
  freeze(): void;
  thaw(): void;
  cutConnections(): Promise<void>;
  /** The service was started again: what holds for its process holds for the new one. */
  restarted(): void;
  /** Everything that lies in it, as it lies there. */
  contents(): Promise<readonly Buffer[]>;
  close(): Promise<void>;
}

export class SqliteStageDatabase implements StageDatabase {
  readonly type = 'sqlite';
  readonly env = {};
  readonly #file: string;
  readonly #pid: () => number | null;
  #holder: SqliteHandle | null = null;
  #most: number | null = null;

  /** @param pid of the service, null while it is down */
  constructor(file: string, pid: () => number | null) {
    this.#file = file;
    this.#pid = pid;
  }

  async lock(): Promise<void> {
    const end = performance.now() + 5_000;
    while (!this.#holder) {
      // A statement of the service may be under way, and waiting here would stop the whole floor.
      const holder = openSqliteHandle(this.#file, { busyTimeout: 0 });
      try {
        holder.exec('BEGIN EXCLUSIVE');
        this.#holder = holder;
      } catch (error) {
        holder.close();
        if (performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  unlock(): void {
    const holder = this.#holder;
    this.#holder = null;
    holder?.exec('ROLLBACK');
    holder?.close();
  }

  limit(room: number): void {
    this.#most = Math.max(...this.#files().map((file) => statSync(file).size)) + room;
    this.#apply();
  }

  unlimit(): void {
    this.#most = null;
    this.#apply();
  }

  restarted(): void {
    if (this.#most !== null) this.#apply();
  }

  async contents(): Promise<readonly Buffer[]> {
    return this.#files().map((file) => readFileSync(file));
  }

  async crash(): Promise<void> {}
  async recover(): Promise<void> {}
  freeze(): void {}
  thaw(): void {}
  async cutConnections(): Promise<void> {}
  async close(): Promise<void> {}

  #files(): readonly string[] {
    return [this.#file, `${this.#file}-wal`].filter((file) => existsSync(file));
  }

  /** Node ignores SIGXFSZ, so a write beyond the limit fails as on a disk that gives no more. */
  #apply(): void {
    const pid = this.#pid();
    if (pid === null) return;
    const limit = `--fsize=${this.#most ?? 'unlimited'}:unlimited`;
    try {
      execFileSync('prlimit', ['--pid', String(pid), limit], { stdio: 'ignore' });
    } catch {
      // It was killed this very moment: its successor is told by `restarted`.
    }
  }
}

/** A MariaDB server of the stage's own. */
export class MariadbStageDatabase implements StageDatabase {
  readonly type = 'mariadb';
  readonly #server: MariadbServer;
  #holder: Connection | null = null;
  #down = false;

  static async start(): Promise<MariadbStageDatabase> {
    const server = await MariadbServer.start();
    await server.ask('CREATE DATABASE csbm');
    return new MariadbStageDatabase(server);
  }

  private constructor(server: MariadbServer) {
    this.#server = server;
  }

  get env(): Readonly<Record<string, string>> {
    return {
      CSBM_STORE_TYPE: 'mariadb',
      CSBM_STORE_MARIADB_SOCKET: this.#server.socket,
      CSBM_STORE_MARIADB_DATABASE: 'csbm',
      CSBM_STORE_MARIADB_USER: 'root',
    };
  }

  async lock(): Promise<void> {
    if (this.#down) return;
    const holder = createConnection({ socketPath: this.#server.socket, user: 'root', database: 'csbm' });
    this.#holder = holder;
    // The server may be killed meanwhile.
    holder.on('error', () => undefined);
    await new Promise<void>((resolve) => holder.query('FLUSH TABLES WITH READ LOCK', () => resolve()));
  }

  unlock(): void {
    this.#holder?.destroy();
    this.#holder = null;
  }

  limit(): void {}
  unlimit(): void {}
  restarted(): void {}

  async crash(): Promise<void> {
    this.#down = true;
    await this.#server.end('SIGKILL');
  }

  async recover(): Promise<void> {
    await this.#server.begin();
    this.#down = false;
  }

  freeze(): void {
    this.#server.signal('SIGSTOP');
  }

  thaw(): void {
    this.#server.signal('SIGCONT');
  }

  async cutConnections(): Promise<void> {
    if (this.#down) return;
    const rows = await this.#server.ask(
      'SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()',
    );
    // One that has gone meanwhile is gone.
    for (const { id } of rows) await this.#server.ask(`KILL ${Number(id)}`).catch(() => undefined);
  }

  async contents(): Promise<readonly Buffer[]> {
    const tables = await this.#server.ask(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'csbm'",
    );
    const contents: Buffer[] = [];
    for (const { name } of tables)
      contents.push(
        Buffer.from(JSON.stringify(await this.#server.ask(`SELECT * FROM \`${String(name)}\``, 'csbm'))),
      );
    return contents;
  }

  async close(): Promise<void> {
    this.unlock();
    await this.#server.stop();
  }
}
