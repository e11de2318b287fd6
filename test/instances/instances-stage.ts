import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AdminClient } from '../../lab/demo/admin-client.ts';
import { ServiceProcess } from '../../lab/demo/service-process.ts';
import { Stage, type StageOptions } from '../../lab/demo/stage.ts';
import { askMariadb } from '../support/mariadb-server.ts';
import { stageDatabase } from '../support/temp-database.ts';
import { until } from '../support/until.ts';
import { Balancer } from './balancer.ts';
import { freeTcpPort } from '../support/free-port.ts';

/** One instance of the service, as a process of its own. */
export interface RunningInstance {
  readonly name: string;
  readonly process: ServiceProcess;
  /** Its id in the database. */
  readonly id: string;
  readonly admin: AdminClient;
}

/** How much faster than life everything runs. */
export const speed = 20;
/** The lease of the tests: four seconds of the test's own time; one is too short for processes on two busy cores. */
const timings = { leaseTtl: '80s', leaseHeartbeat: '8s', instanceLook: '2s', wireSettle: '5s' } as const;
/** The same in the test's own milliseconds. */
export const leaseTtl = 80_000 / speed;

/** A floor, a management server, a database, and several instances of the service on it, each a process. */
export class InstancesStage {
  readonly stage: Stage;
  readonly balancer: Balancer;
  readonly #directory: string;
  readonly #database: Awaited<ReturnType<typeof stageDatabase>>;
  readonly #env: Readonly<Record<string, string>>;
  readonly #instances = new Map<string, RunningInstance>();
  readonly #frozen = new Set<string>();

  static async open(
    options: Omit<Partial<StageOptions>, 'directory' | 'launch'> = {},
  ): Promise<InstancesStage> {
    const directory = mkdtempSync(path.join(tmpdir(), 'csbm-instances-'));
    const database = await stageDatabase();
    const balancer = await Balancer.start();
    const env = {
      ...database.env,
      CSBM_BOOT_PUBLIC_URL: `http://127.0.0.1:${balancer.port}`,
      ...options.env,
    };
    const stage = await Stage.start({
      machines: 1,
      speed,
      imageBytes: 2 ** 20,
      ...options,
      timings: { ...timings, ...options.timings },
      directory,
    });
    stage.floor.setBootService({ host: '127.0.0.1', port: balancer.port });
    return new InstancesStage(stage, balancer, directory, database, env);
  }

  private constructor(
    stage: Stage,
    balancer: Balancer,
    directory: string,
    database: Awaited<ReturnType<typeof stageDatabase>>,
    env: Readonly<Record<string, string>>,
  ) {
    this.stage = stage;
    this.balancer = balancer;
    this.#directory = directory;
    this.#database = database;
    this.#env = env;
  }

  /** Those whose process has not ended. */
  get instances(): readonly RunningInstance[] {
    return [...this.#instances.values()];
  }

  instance(name: string): RunningInstance {
    const found = this.#instances.get(name);
    if (!found) throw new Error(`there is no instance ${name}`);
    return found;
  }

  logOf(name: string): string {
    return path.join(this.#directory, `${name}.log`);
  }

  async start(name: string, env: Readonly<Record<string, string>> = {}): Promise<RunningInstance> {
    let id = '';
    const bootPort = await freeTcpPort();
    const process = new ServiceProcess({
      configFile: this.stage.configFile,
      logFile: this.logOf(name),
      env: { ...this.#env, CSBM_BOOT_PORT: String(bootPort), ...env },
    });
    process.onLog((line) => {
      if (line['msg'] === 'csbm is up') id = String(line['instance']);
    });
    await process.up();
    this.balancer.backends = [...this.balancer.backends, bootPort];
    const token = readFileSync(this.stage.tokenFile, 'utf8').trim();
    const instance = { name, process, id, admin: new AdminClient(process.adminUrl, token) };
    this.#instances.set(name, instance);
    void process.exited.then(() => {
      if (this.#instances.get(name) === instance) this.#instances.delete(name);
      this.#frozen.delete(name);
      this.#askLiving();
    });
    this.#askLiving();
    return instance;
  }

  /** Uploads the rack config and the image, enrols every machine and commissions it. */
  async furnish(): Promise<void> {
    await this.stage.furnish('quick');
  }

  /** Rows of the instances' database. */
  ask(statement: string): Promise<readonly Record<string, unknown>[]> {
    const { CSBM_STORE_MARIADB_SOCKET: socket, CSBM_STORE_MARIADB_DATABASE: database } = this.#database.env;
    return askMariadb(socket!, statement, database);
  }

  /** Who holds each machine: instance by hostname; null = nobody. */
  async holders(): Promise<ReadonlyMap<string, string | null>> {
    const rows = await this.ask(
      "SELECT m.hostname AS hostname, l.owner AS owner FROM machine m LEFT JOIN lease l ON l.name = CONCAT('machine:', m.id)",
    );
    const names = new Map(this.instances.map(({ id, name }) => [id, name]));
    return new Map(
      rows.map((row) => [String(row['hostname']), names.get(String(row['owner'])) ?? null] as const),
    );
  }

  /** Freezes whoever has the lease of a switch, at once, and gives its name. */
  freezeHolderOf(switchName: string): string {
    const socket = this.#database.env['CSBM_STORE_MARIADB_SOCKET']!;
    const database = this.#database.env['CSBM_STORE_MARIADB_DATABASE']!;
    const owner = execFileSync(
      'mariadb',
      ['--no-defaults', `--socket=${socket}`, '--user=root', '-N', '-B', database, '-e'].concat(
        `SELECT owner FROM lease WHERE name = 'switch:${switchName}'`,
      ),
      { encoding: 'utf8' },
    ).trim();
    const holder = this.instances.find(({ id }) => id === owner);
    if (!holder) throw new Error(`nobody has ${switchName}`);
    holder.process.signal('SIGSTOP');
    this.#frozen.add(holder.name);
    this.#askLiving();
    return holder.name;
  }

  /** Questions of the stage go to an instance that can answer. */
  #askLiving(): void {
    const living = this.instances.find(({ name }) => !this.#frozen.has(name));
    if (living) this.stage.adopt(living.process);
  }

  /** Whatever a late writer could change. */
  async fingerprint(): Promise<unknown> {
    const tables = ['operation', 'step', 'claim', 'deployment', 'port_state', 'boot_conversation'];
    return this.ask(`CHECKSUM TABLE ${tables.join(', ')}`);
  }

  /** What an instance has logged. */
  textOf(name: string): string {
    return readFileSync(this.logOf(name), 'utf8');
  }

  async holderOf(hostname: string): Promise<RunningInstance> {
    await until(async () => (await this.holders()).get(hostname) != null, `somebody to hold ${hostname}`);
    return this.instance((await this.holders()).get(hostname)!);
  }

  async close(): Promise<void> {
    for (const { process } of this.instances) {
      process.signal('SIGCONT');
      await process.kill();
    }
    await this.stage.stop();
    await this.balancer.stop();
    await this.#database.release();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
