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
import { AdminClient } from '../../lab/demo/admin-client.ts';
import { FloorWatch } from '../../lab/demo/floor-watch.ts';
import { ServiceProcess } from '../../lab/demo/service-process.ts';
import { Stage } from '../../lab/demo/stage.ts';
import type { LabFloor } from '../../lab/floor/index.ts';
import type { LabManagementServer } from '../../lab/management-server/lab-management-server.ts';
import { until } from '../support/until.ts';
import { Balancer } from '../instances/balancer.ts';
import { freeTcpPort } from '../support/free-port.ts';
import { MaasClient, type MaasMachine } from '../support/maas-client.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { mutantEnv, type Mutant } from './mutants/mutant.ts';
import { localPorts, watchCommands, type Told } from './late-commands.ts';
import { MariadbStageDatabase, SqliteStageDatabase, type StageDatabase } from './stage-database.ts';
import { Timeline } from './timeline.ts';

type Json = Readonly<Record<string, unknown>>;

/** The part of an API key that nobody else may ever see. */
function secretOf({ key }: Json): string {
  return String(key).split(':')[2]!;
}

/** How many times faster than life the floor and the service live. */
export const speed = 40;
/** So many machines are CloudStack's. */
export const cloudMachines = 3;
/** Stands in no CloudStack: the users of the MAAS API take it, and give it back. */
const userMachine = 'server-4';
export const userNames = ['alice', 'bob'] as const;

export interface ChaosStageOptions {
  /** Who installs the machines: the service itself, or an upstream MAAS, which a second service plays. */
  readonly engine: 'native' | 'maas';
  readonly store: 'sqlite' | 'mariadb';
  /** Instances of the service, side by side; default 1, more on MariaDB only. */
  readonly instances?: number;
  /** What the service is from the first run on: one that is broken on purpose; null or nothing = as it is. */
  readonly mutant?: Mutant | null;
}

/** Recognisable wherever they turn up. */
export const devicePassword = 'PLANTED-dev-5e7c';

/** One instance of the service, which is started again whenever it has ended. */
interface Member {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  process: ServiceProcess | null;
  /** It has come up and has not ended since. */
  up: boolean;
  /** It stands still. */
  frozen: boolean;
  /** It stood still since it was started: one whose lease ran out meanwhile ends by itself. */
  stoodStill: boolean;
  /** Its id in the database; null = it has not said so yet. */
  id: string | null;
  /** Since the others declared it gone while it stood still, and it went on: ports that it talks to devices from. */
  late: ReadonlySet<number> | null;
}

/**
 * A floor, a management server, and the real service as a process of its own, or several, that is started again whenever it has
 * ended, as an init system would. Used for many runs.
 */
export class ChaosStage {
  readonly stage: Stage;
  readonly database: StageDatabase;
  readonly engine: 'native' | 'maas';
  /** Between the service and its upstream MAAS, where there is one. */
  readonly proxy: FaultProxy | null;
  /** Texts that nobody may ever see. */
  readonly secrets: string[];
  /** Of the run that has the stage now. */
  timeline = new Timeline();
  /** Before the service is started again. */
  restartPause = 0;
  /** Ends of the service that nobody asked for, in words. */
  readonly deaths: string[] = [];
  /** What devices were told by instances that went on after others had declared them gone, in words. */
  readonly lateCommands: string[] = [];
  /** How often the service was killed. */
  kills = 0;
  readonly #crashFile: string;
  readonly #guids = new Map<string, string>();
  readonly #ids = new Map<string, string>();
  /** API keys of the users, by name. */
  readonly userKeys = new Map<string, string>();
  /** Records of the floor's networks in the MAAS API. */
  readonly networks = new Map<number, { readonly vlan: number; readonly subnet: number }>();
  readonly #members: readonly Member[];
  readonly #balancer: Balancer | null;
  #closing = false;
  #mutant: Mutant | null = null;
  #logRead = 0;
  #keepers: Promise<unknown> = Promise.resolve();
  #watch: FloorWatch;

  static async open({ engine, store, mutant = null, instances = 1 }: ChaosStageOptions): Promise<ChaosStage> {
    if (instances > 1 && (store !== 'mariadb' || engine !== 'native'))
      throw new Error('several instances need STORE=mariadb and the native engine');
    const directory = mkdtempSync(path.join(tmpdir(), 'csbm-chaos-'));
    const pid = (): number | null => opened?.pid ?? null;
    const database =
      store === 'mariadb'
        ? await MariadbStageDatabase.start({ shared: instances > 1 })
        : new SqliteStageDatabase(path.join(directory, 'state', 'csbm.sqlite'), pid);
    let proxy: FaultProxy | null = null;
    let opened: ChaosStage | null = null;
    let first: ServiceProcess | null = null;
    let firstId: string | null = null;
    const balancer = instances > 1 ? await Balancer.start() : null;
    const crashFile = path.join(directory, 'crash-at');
    const stage = await Stage.start({
      directory,
      machines: engine === 'native' ? cloudMachines + 1 : cloudMachines,
      ...(engine === 'native' && { maas: {}, outside: [userMachine] }),
      speed,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      pingInterval: 1,
      env: {
        ...database.env(),
        CSBM_TEST_CRASH_FILE: crashFile,
        ...(balancer && { CSBM_BOOT_PUBLIC_URL: `http://127.0.0.1:${balancer.port}` }),
      },
      // Long enough for everything that should happen on a busy computer, short enough to wait for what should not.
      timings: {
        bootSeen: '240s',
        deployStalled: '240s',
        softOff: '40s',
        powerOff: '2m',
        powerOn: '2m',
        switchBatch: instances > 1 ? '12m' : '4m',
      },
      // A silent switch is noticed sooner than in life, not forty times sooner: sessions are real.
      sections: {
        switch: {
          settings: {
            Force10: {
              connectTimeout: '5s',
              loginTimeout: '5s',
              // As in life, an instance may be silent for longer than its lease without a command to a switch having timed out.
              ...(instances > 1
                ? { commandTimeout: '15s', saveTimeout: '15s', sessionTimeout: '40s' }
                : { commandTimeout: '4s', saveTimeout: '4s', sessionTimeout: '20s' }),
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
          { name: 'net-alice', tenant: 'alice', vlan: 400, prefix: '10.2.40' },
          { name: 'net-alice-2', tenant: 'alice', vlan: 401, prefix: '10.2.41' },
          { name: 'net-bob', tenant: 'bob', vlan: 410, prefix: '10.2.50' },
          { name: 'net-bob-2', tenant: 'bob', vlan: 411, prefix: '10.2.51' },
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
        first = service;
        service.onLog((line) => {
          if (line['msg'] === 'csbm is up') firstId = String(line['instance']);
        });
        await service.up();
        return service;
      },
    });
    try {
      const bootPorts = balancer ? await freePorts(instances) : [];
      await stage.serve(balancer ? { CSBM_BOOT_PORT: String(bootPorts[0]) } : {});
      if (balancer) {
        balancer.backends = bootPorts;
        stage.floor.setBootService({ host: '127.0.0.1', port: balancer.port });
      }
      await stage.furnish();
      const members = Array.from({ length: instances }, (_, n): Member => ({
        name: instances === 1 ? 'the service' : `instance ${n + 1}`,
        env: {
          CSBM_TEST_CRASH_FILE: crashFile,
          ...(balancer && {
            CSBM_BOOT_PUBLIC_URL: `http://127.0.0.1:${balancer.port}`,
            CSBM_BOOT_PORT: String(bootPorts[n]),
          }),
        },
        process: n === 0 ? first : null,
        up: n === 0,
        frozen: false,
        stoodStill: false,
        id: n === 0 ? firstId : null,
        late: null,
      }));
      opened = new ChaosStage(stage, crashFile, database, proxy, members, balancer);
      for (const name of opened.machines) {
        const { machine } = await stage.admin.call('GET', `/machines/${name}`);
        const { id, cloudPlace } = machine as {
          readonly id: string;
          readonly cloudPlace: { readonly guid: string };
        };
        opened.#guids.set(name, cloudPlace.guid);
        opened.#ids.set(name, id);
        await stage.host(name);
      }
    } catch (error) {
      await stage.stop();
      await balancer?.stop();
      await database.close();
      throw error;
    }
    await opened.#admitUsers();
    const [, ...others] = opened.#members;
    await Promise.all(others.map((member) => opened.#start(member)));
    opened.#keepers = Promise.all(opened.#members.map((member) => opened.#keep(member)));
    if (mutant) await opened.#becomes(mutant);
    return opened;
  }

  private constructor(
    stage: Stage,
    crashFile: string,
    database: StageDatabase,
    proxy: FaultProxy | null,
    members: readonly Member[],
    balancer: Balancer | null,
  ) {
    this.#members = members;
    this.#balancer = balancer;
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
    watchCommands(stage.floor, ({ what, from, changes }) => {
      const member = changes && members.find(({ late }) => late?.has(from));
      if (member)
        this.lateCommands.push(`${member.name} was declared gone while it stood still, and went on: ${what}`);
    });
  }

  /** The service is started anew, changed. What was furnished before was furnished by one that is as it should be. */
  async #becomes(mutant: Mutant): Promise<void> {
    this.#mutant = mutant;
    for (const [n] of this.#members.entries()) this.kill(n);
    await until(
      () => this.kills === this.#members.length && this.up,
      `the service to be up as the mutant "${mutant.name}"`,
    );
    for (const name of this.machines) await this.stage.host(name);
  }

  get floor(): LabFloor {
    return this.stage.floor;
  }

  get cloud(): LabManagementServer {
    return this.stage.cloud;
  }

  /** Those that CloudStack hands out. */
  get machines(): readonly string[] {
    return this.floor.machines.slice(0, cloudMachines).map(({ machine }) => machine.name);
  }

  /** The one for users of the MAAS API; null where there is none. */
  get userMachine(): string | null {
    return this.engine === 'native' ? userMachine : null;
  }

  /** Of a machine of CloudStack's, at the service. */
  idOf(machine: string): string {
    return this.#ids.get(machine)!;
  }

  /** Users with keys, and the networks that they may say their machine is in. */
  async #admitUsers(): Promise<void> {
    if (this.engine !== 'native') return;
    const { admin, maasRoot } = this.stage;
    const made = await admin.call('POST', '/api-keys', { name: 'chaos' });
    const maas = new MaasClient(maasRoot, String(made['key']));
    this.secrets.push(secretOf(made));
    for (const name of userNames) {
      await admin.call('POST', '/principals', { name, role: 'user' });
      const key = await admin.call('POST', '/api-keys', { principal: name, name: 'chaos' });
      this.userKeys.set(name, String(key['key']));
      this.secrets.push(secretOf(key));
    }
    const { json: all } = await maas.get('machines/');
    const [machine] = (all as unknown as readonly MaasMachine[]).filter(
      ({ hostname }) => hostname === userMachine,
    );
    const { fabric_id: fabric } = machine!.interface_set[0]!.vlan!;
    for (const { vlan: vid, name, prefix } of this.floor.router.networks) {
      const { json: vlan } = await maas.post(`fabrics/${fabric}/vlans/`, { vid, name });
      const { json: subnet } = await maas.post('subnets/', {
        cidr: `${prefix}.0/24`,
        vlan: Number(vlan['id']),
        gateway_ip: `${prefix}.1`,
      });
      this.networks.set(vid, { vlan: Number(vlan['id']), subnet: Number(subnet['id']) });
    }
  }

  /** Of a machine's host at the management server. */
  guid(machine: string): string {
    return this.#guids.get(machine)!;
  }

  /** Of the service, or of its first instance; null while it is down. */
  get pid(): number | null {
    return this.#members[0]!.process?.pid ?? null;
  }

  /** Instances of the service. */
  get instances(): number {
    return this.#members.length;
  }

  /** Of every instance that is not down. */
  get pids(): readonly number[] {
    return this.#members.flatMap(({ process }) => (process ? [process.pid] : []));
  }

  /** Every instance has come up, has not ended since, and does not stand still. */
  get up(): boolean {
    return this.#members.every(({ up, frozen }) => up && !frozen);
  }

  /** Kill -9 of an instance, whatever it is doing. */
  kill(instance = 0): void {
    const member = this.#member(instance);
    this.timeline.tell('kill', `kill -9 of ${member.name}${member.up ? '' : ', while it comes up'}`);
    member.process?.signal('SIGKILL');
  }

  /** An instance stands still where it is; the returned function lets it go on. */
  freeze(instance: number): () => Promise<void> {
    const member = this.#member(instance);
    const { process, id } = member;
    this.timeline.tell('kill', `${member.name} stands still`);
    member.frozen = member.stoodStill = true;
    process?.signal('SIGSTOP');
    return async () => {
      const gone = process && id && (await this.database.isGone(id));
      this.timeline.tell('kill', `${member.name} goes on${gone ? ', and is gone for the others' : ''}`);
      if (gone && member.process === process) member.late = localPorts(process.pid);
      process?.signal('SIGCONT');
      if (member.process === process) member.frozen = false;
    };
  }

  /**
   * The instance that tells a device the n-th command from now on stands still before it is answered. Resolves with the function
   * that lets it go on; null = nothing was told until `over`.
   */
  async freezeAt(
    device: Told['device'],
    nth: number,
    over: () => boolean,
  ): Promise<(() => Promise<void>) | null> {
    let left = nth;
    const going: (() => Promise<void>)[] = [];
    const end = watchCommands(this.floor, (told) => {
      if (told.device !== device || going.length > 0 || (left -= 1) > 0) return;
      const instance = this.#members.findIndex(
        ({ process, frozen }) => process && !frozen && localPorts(process.pid).has(told.from),
      );
      if (instance < 0) return;
      this.timeline.tell('kill', `in the middle of: ${told.what}`);
      going.push(this.freeze(instance));
    });
    while (going.length === 0 && !over()) await delay(10);
    end();
    return going[0] ?? null;
  }

  #member(instance: number): Member {
    return this.#members[instance % this.#members.length]!;
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
        const member = this.#members.find(({ up, frozen }) => up && !frozen);
        if (member) return await this.#admin(member).call(method, route, body);
      } catch (error) {
        // `fetch` wraps what happens to the connection; refusals of the service are no TypeError.
        if (!(error instanceof TypeError)) throw error;
      }
      if (performance.now() > end) throw new Error(`the service was not there for ${method} ${route}`);
      await delay(20);
    }
  }

  #admin({ process }: Member): AdminClient {
    return new AdminClient(process!.adminUrl, readFileSync(this.stage.tokenFile, 'utf8').trim());
  }

  /** Of every instance. */
  async metrics(): Promise<string> {
    await until(() => this.up, 'every instance to be up', 60_000);
    const token = readFileSync(this.stage.tokenFile, 'utf8').trim();
    const texts = await Promise.all(
      this.#members.map(async ({ process }) => {
        const answer = await fetch(`${process!.adminUrl}/metrics`, {
          headers: { authorization: `Bearer ${token}` },
        });
        if (!answer.ok) throw new Error(`/metrics: ${answer.status}`);
        return answer.text();
      }),
    );
    return texts.join('\n');
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
    for (const { process } of this.#members) {
      process?.signal('SIGCONT');
      process?.signal('SIGTERM');
    }
    await this.#keepers;
    await this.stage.stop();
    await this.#balancer?.stop();
    await this.proxy?.stop();
    await this.database.close();
    rmSync(this.stage.directory, { recursive: true, force: true });
  }

  /** Starts an instance again whenever it has ended. */
  async #keep(member: Member): Promise<void> {
    do {
      const how = await member.process!.exited;
      const wasUp = member.up;
      member.late = null;
      member.up = false;
      if (this.#closing) return;
      this.timeline.tell('service', `${member.name} ended: ${String(how)}`);
      this.#ended(member, how, wasUp ? 'while it served' : 'before it was up');
      this.killAt(null);
      await delay(this.restartPause);
    } while (await this.#start(member));
  }

  #learnId(member: Member, service: ServiceProcess): void {
    service.onLog((line) => {
      if (line['msg'] === 'csbm is up' && member.process === service) member.id = String(line['instance']);
    });
  }

  #ended(member: Member, how: number | string, when: string): void {
    if (how === 'SIGKILL') this.kills += 1;
    else if (!member.stoodStill) this.deaths.push(`${when}: ${String(how)}`);
  }

  /** False = the stage is closed meanwhile. */
  async #start(member: Member): Promise<boolean> {
    for (;;) {
      this.timeline.tell('service', `${member.name} is started`);
      const { configFile, serviceLog: logFile } = this.stage;
      const service = new ServiceProcess({
        configFile,
        logFile,
        env: { ...member.env, ...this.database.env(), ...mutantEnv(this.#mutant) },
      });
      Object.assign(member, { process: service, frozen: false, stoodStill: false, id: null });
      this.#learnId(member, service);
      this.database.restarted();
      try {
        await service.up();
        this.stage.adopt(service);
        member.up = true;
        this.timeline.tell('service', `${member.name} is up`);
        return true;
      } catch (error) {
        const how = await service.exited;
        if (this.#closing) return false;
        this.timeline.tell('service', `${member.name} ended before it was up: ${String(how)}`);
        this.#ended(member, how, `before it was up: ${(error as Error).message}`);
        await delay(200);
      }
    }
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freeTcpPort());
  return [...ports];
}
