import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  fstatSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FloorWatch } from '../../lab/demo/floor-watch.ts';
import { ServiceProcess } from '../../lab/demo/service-process.ts';
import { Stage } from '../../lab/demo/stage.ts';
import type { LabFloor } from '../../lab/floor/index.ts';
import type { LabManagementServer } from '../../lab/management-server/lab-management-server.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { MariadbStageDatabase, SqliteStageDatabase, type StageDatabase } from './stage-database.ts';
import { Timeline } from './timeline.ts';

type Json = Readonly<Record<string, unknown>>;

/** How many times faster than life the floor and the service live. */
export const speed = 40;
const machineCount = 3;

export interface ChaosStageOptions {
  /** Who installs the machines: the service itself, or an upstream MAAS, which a second service plays. */
  readonly engine: 'native' | 'maas';
  readonly store: 'sqlite' | 'mariadb';
}

/** Recognisable wherever they turn up. */
export const devicePassword = 'PLANTED-dev-5e7c';

/**
 * A floor, a management server, and the real service as a process of its own that is started again whenever it has ended, as an
 * init system would. Used for many runs.
 */
export class ChaosStage {
  readonly stage: Stage;
  readonly database: StageDatabase;
  readonly engine: 'native' | 'maas';
  /** Between the service and its upstream MAAS, where there is one. */
  readonly proxy: FaultProxy | null;
  /** Texts that nobody may ever see. */
  readonly secrets: readonly string[];
  /** Of the run that has the stage now. */
  timeline = new Timeline();
  /** Before the service is started again. */
  restartPause = 0;
  /** Ends of the service that nobody asked for, in words. */
  readonly deaths: string[] = [];
  /** How often the service was killed. */
  kills = 0;
  readonly #crashFile: string;
  readonly #guids = new Map<string, string>();
  #process: ServiceProcess | null = null;
  #up = false;
  #closing = false;
  #logRead = 0;
  #keeper: Promise<void> = Promise.resolve();
  #watch: FloorWatch;

  static async open({ engine, store }: ChaosStageOptions): Promise<ChaosStage> {
    const directory = mkdtempSync(path.join(tmpdir(), 'csbm-chaos-'));
    const pid = (): number | null => opened?.pid ?? null;
    const database =
      store === 'mariadb'
        ? await MariadbStageDatabase.start()
        : new SqliteStageDatabase(path.join(directory, 'state', 'csbm.sqlite'), pid);
    let proxy: FaultProxy | null = null;
    let opened: ChaosStage | null = null;
    let first: ServiceProcess | null = null;
    const crashFile = path.join(directory, 'crash-at');
    const stage = await Stage.start({
      directory,
      machines: machineCount,
      speed,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      pingInterval: 1,
      env: { ...database.env, CSBM_TEST_CRASH_FILE: crashFile },
      // Long enough for everything that should happen on a busy computer, short enough to wait for what should not.
      timings: {
        bootSeen: '240s',
        deployStalled: '240s',
        softOff: '40s',
        powerOff: '2m',
        powerOn: '2m',
        switchBatch: '4m',
      },
      // A silent switch is noticed sooner than in life, not forty times sooner: sessions are real.
      sections: {
        switch: {
          settings: {
            Force10: {
              connectTimeout: '5s',
              loginTimeout: '5s',
              commandTimeout: '4s',
              saveTimeout: '4s',
              sessionTimeout: '20s',
            },
          },
        },
      },
      floor: {
        password: devicePassword,
        // docs/operations.md, known limits: the other way boots the tenant's disk where an erase was meant.
        machine: { pxeFailure: 'stop' },
        networks: [
          { name: 'net-red', tenant: 'red', vlan: 200, prefix: '10.1.200' },
          { name: 'net-red-2', tenant: 'red', vlan: 201, prefix: '10.1.201' },
          { name: 'net-blue', tenant: 'blue', vlan: 300, prefix: '10.1.44' },
          { name: 'net-blue-2', tenant: 'blue', vlan: 301, prefix: '10.1.45' },
        ],
        disks: (name) => [
          { name: 'vda', serial: `DISK-${name}`, bytes: 8 * 2 ** 20 },
          ...(name === 'server-2' ? [{ name: 'vdb', serial: `DISK2-${name}`, bytes: 4 * 2 ** 20 }] : []),
        ],
      },
      ...(engine === 'maas' && {
        upstream: {
          reach: async (root) => {
            proxy = await FaultProxy.start(new URL(root).origin);
            return `${proxy.root}/MAAS`;
          },
          settings: { retryDelay: '50ms', requestTimeout: '2s' },
        },
      }),
      launch: async (options) => {
        if (options.configFile.includes('/upstream/')) return ServiceProcess.start(options);
        const service = new ServiceProcess(options);
        if (opened) opened.#process = service;
        else first = service;
        await service.up();
        return service;
      },
    });
    try {
      await stage.serve();
      await stage.furnish();
      opened = new ChaosStage(stage, crashFile, database, proxy);
      for (const name of opened.machines) {
        const { machine } = await stage.admin.call('GET', `/machines/${name}`);
        const { cloudPlace } = machine as { readonly cloudPlace: { readonly guid: string } };
        opened.#guids.set(name, cloudPlace.guid);
        await stage.host(name);
      }
    } catch (error) {
      await stage.stop();
      await database.close();
      throw error;
    }
    opened.#process = first;
    opened.#up = true;
    opened.#keeper = opened.#keep();
    return opened;
  }

  private constructor(stage: Stage, crashFile: string, database: StageDatabase, proxy: FaultProxy | null) {
    this.stage = stage;
    this.database = database;
    this.proxy = proxy;
    this.engine = stage.hasUpstream ? 'maas' : 'native';
    this.#crashFile = crashFile;
    const texts = [readFileSync(stage.tokenFile, 'utf8').trim()];
    if (stage.hasUpstream)
      texts.push(...readFileSync(stage.upstream.keyFile, 'utf8').trim().split(':').slice(2));
    this.secrets = [devicePassword, ...texts];
    this.#watch = new FloorWatch(stage.floor, (line) => this.timeline.tellOnce('floor', line));
  }

  get floor(): LabFloor {
    return this.stage.floor;
  }

  get cloud(): LabManagementServer {
    return this.stage.cloud;
  }

  get machines(): readonly string[] {
    return this.floor.machines.map(({ machine }) => machine.name);
  }

  /** Of a machine's host at the management server. */
  guid(machine: string): string {
    return this.#guids.get(machine)!;
  }

  /** Of the service; null while it is down. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** The service has come up and has not ended since. */
  get up(): boolean {
    return this.#up;
  }

  /** Kill -9, whatever it is doing. */
  kill(): void {
    this.timeline.tell('kill', `kill -9 of the service${this.#up ? '' : ', while it comes up'}`);
    this.#process?.signal('SIGKILL');
  }

  /** Kill -9 when the journal comes to this boundary; null = no more. */
  killAt(boundary: string | null): void {
    // In one step, as the service may look at any moment.
    writeFileSync(`${this.#crashFile}.new`, boundary ?? '');
    renameSync(`${this.#crashFile}.new`, this.#crashFile);
  }

  dropLinks(): void {
    for (const { hostId } of this.cloud.hosts()) this.cloud.dropLink(hostId);
  }

  replaceCloud(pause: number): Promise<void> {
    return this.stage.replaceCloud(pause);
  }

  /** What devices were told since it was asked last. */
  news(): string[] {
    return this.#watch.news();
  }

  /** Asks the admin API, again while the service is down. @throws Error with the service's words when it refuses. */
  async ask(method: string, route: string, body?: Json, patience = 60_000): Promise<Json> {
    const end = performance.now() + patience;
    for (;;) {
      try {
        if (this.#up) return await this.stage.admin.call(method, route, body);
      } catch (error) {
        // `fetch` wraps what happens to the connection; refusals of the service are no TypeError.
        if (!(error instanceof TypeError)) throw error;
      }
      if (performance.now() > end) throw new Error(`the service was not there for ${method} ${route}`);
      await delay(20);
    }
  }

  async metrics(): Promise<string> {
    const token = readFileSync(this.stage.tokenFile, 'utf8').trim();
    const answer = await fetch(`${this.stage.service.adminUrl}/metrics`, {
      headers: { authorization: `Bearer ${token}` },
    });
    if (!answer.ok) throw new Error(`/metrics: ${answer.status}`);
    return answer.text();
  }

  /** What the service has logged since it was asked last. */
  logNews(): Buffer {
    const file = openSync(this.stage.serviceLog, 'r');
    try {
      const news = Buffer.alloc(fstatSync(file).size - this.#logRead);
      this.#logRead += readSync(file, news, 0, news.length, this.#logRead);
      return news;
    } finally {
      closeSync(file);
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#process?.signal('SIGTERM');
    await this.#keeper;
    await this.stage.stop();
    await this.proxy?.stop();
    await this.database.close();
    rmSync(this.stage.directory, { recursive: true, force: true });
  }

  /** Starts the service again whenever it has ended. */
  async #keep(): Promise<void> {
    for (;;) {
      const how = await this.#process!.exited;
      const wasUp = this.#up;
      this.#up = false;
      if (this.#closing) return;
      this.timeline.tell('service', `ended: ${String(how)}`);
      if (how === 'SIGKILL') this.kills += 1;
      else this.deaths.push(`${wasUp ? 'while it served' : 'before it was up'}: ${String(how)}`);
      this.killAt(null);
      await delay(this.restartPause);
      await this.#start();
    }
  }

  async #start(): Promise<void> {
    for (;;) {
      this.timeline.tell('service', 'is started');
      const started = this.stage.serve();
      this.database.restarted();
      try {
        await started;
        this.#up = true;
        this.timeline.tell('service', 'is up');
        return;
      } catch (error) {
        const how = await this.#process!.exited;
        if (this.#closing) return;
        this.timeline.tell('service', `ended before it was up: ${String(how)}`);
        if (how === 'SIGKILL') this.kills += 1;
        else this.deaths.push(`before it was up: ${(error as Error).message}`);
        await delay(200);
      }
    }
  }
}
