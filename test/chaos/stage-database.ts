import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2';
import { openSqliteHandle, type SqliteHandle } from '../../src/store/sqlite-handle.ts';
import { MariadbServer } from '../support/mariadb-server.ts';
import { LateWrites } from './late-writes.ts';

/** What may befall the database of a stage's service. What makes no sense on a kind of database does nothing there. */
export interface StageDatabase {
  readonly type: 'sqlite' | 'mariadb';
  /** Where it is, for the next process of the service. */
  env(): Readonly<Record<string, string>>;
  /** Whether others have declared an instance of the service gone; false also where nobody can tell now. */
  isGone(instance: string): Promise<boolean>;
  /** What was stored since it was asked last in the name of instances that had been declared gone, in words. */
  lateWrites(): readonly string[];
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

  env(): Readonly<Record<string, string>> {
    return {};
  }

  async isGone(): Promise<boolean> {
    return false;
  }

  lateWrites(): readonly string[] {
    return [];
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
  /** Everything that is asked of the server, where several instances use it. */
  readonly #log: string | null;
  readonly #late = new LateWrites();
  #logRead = 0;
  #processes = 0;
  #holder: Connection | null = null;
  #down = false;

  /** @param shared several instances use it: each process has a user of its own, and what they say is written down */
  static async start({ shared }: { readonly shared: boolean }): Promise<MariadbStageDatabase> {
    const server = await MariadbServer.start();
    await server.ask('CREATE DATABASE csbm');
    if (!shared) return new MariadbStageDatabase(server, null);
    const users = Array.from({ length: processUsers }, (_, n) => `${userOf(n)}@localhost`).join();
    await server.ask(`CREATE USER ${users}; GRANT ALL ON csbm.* TO ${users}`);
    const log = path.join(server.dataFolder, 'general.log');
    await server.ask(generalLog(log));
    return new MariadbStageDatabase(server, log);
  }

  private constructor(server: MariadbServer, log: string | null) {
    this.#server = server;
    this.#log = log;
  }

  env(): Readonly<Record<string, string>> {
    return {
      CSBM_STORE_TYPE: 'mariadb',
      CSBM_STORE_MARIADB_SOCKET: this.#server.socket,
      CSBM_STORE_MARIADB_DATABASE: 'csbm',
      CSBM_STORE_MARIADB_USER: this.#log === null ? 'root' : userOf(this.#processes++),
    };
  }

  async isGone(instance: string): Promise<boolean> {
    if (this.#down) return false;
    const asked = this.#server.ask('SELECT id FROM instance WHERE state = "gone"', 'csbm').then(
      (rows) => rows.some(({ id }) => id === instance),
      () => false,
    );
    return Promise.race([asked, delay(1_000, false)]);
  }

  lateWrites(): readonly string[] {
    if (this.#log === null || !existsSync(this.#log)) return [];
    const file = openSync(this.#log, 'r');
    try {
      const late: string[] = [];
      const chunk = Buffer.alloc(2 ** 20);
      for (let length; (length = readSync(file, chunk, 0, chunk.length, this.#logRead)) > 0;) {
        this.#logRead += length;
        // Whatever is cut in two here is a value: what matters of a statement is ASCII.
        late.push(...this.#late.read(chunk.toString('latin1', 0, length)));
      }
      return late;
    } finally {
      closeSync(file);
    }
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
    if (this.#log !== null) await this.#server.ask(generalLog(this.#log));
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

/** More than there are processes between two looks at the log. */
const processUsers = 1_000;
const userOf = (process: number): string => `process_${process % processUsers}`;

const generalLog = (file: string): string =>
  `SET GLOBAL general_log_file = '${file}'; SET GLOBAL general_log = ON`;
