import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { parseMac } from '../../plugin-api/index.ts';
import { Semaphore } from '../../src/kernel/concurrency/semaphore.ts';
import { LabFloor, type LabFloorOptions } from '../floor/index.ts';
import { makeLabImage } from '../machine/index.ts';
import {
  LabManagementServer,
  type LabManagementServerOptions,
} from '../management-server/lab-management-server.ts';
import type { LabInstance, LabNic } from '../management-server/commands.ts';
import { AdminClient } from './admin-client.ts';
import { ServiceProcess, type RunningService, type ServiceProcessOptions } from './service-process.ts';
import { Upstream } from './upstream.ts';

export interface StageOptions {
  /** Everything lives here. */
  readonly directory: string;
  readonly machines?: number;
  /** How many times faster than life everything runs; default 20. */
  readonly speed?: number;
  /** Bytes of the image before compression; default 4 MiB. */
  readonly imageBytes?: number;
  readonly floor?: Partial<LabFloorOptions>;
  /** More of the service's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** More timings for its configuration. */
  readonly timings?: Readonly<Record<string, string>>;
  /** More sections for its configuration. */
  readonly sections?: Readonly<Record<string, unknown>>;
  /** The service's default erase grade; default quick. */
  readonly eraseGrade?: 'quick' | 'full' | 'secure';
  /** Seconds between two pings of a host; default a minute of the floor's life. */
  readonly pingInterval?: number;
  /** Hears what happens at the management server. */
  readonly cloudLog?: (line: string) => void;
  /** Machines that stand in no CloudStack, and the MAAS API for those who ask for them; more settings of its section. */
  readonly maas?: Readonly<Record<string, unknown>>;
  /** Machines that stand in no CloudStack; default all where there is the MAAS API, else none. */
  readonly outside?: readonly string[];
  /** The machines are installed by an upstream MAAS, a second service on the floor, instead of by the service itself. */
  readonly upstream?: {
    /** The address under which the service reaches it, where something stands between. */
    readonly reach?: (root: string) => Promise<string>;
    /** More settings of the engine. */
    readonly settings?: Readonly<Record<string, unknown>>;
  };
  /** How the service is started; default a process of its own. */
  readonly launch?: (options: ServiceProcessOptions) => Promise<RunningService>;
}

function cloudOptions({ pingInterval, speed = 20, cloudLog }: StageOptions): LabManagementServerOptions {
  return {
    pingInterval: pingInterval ?? Math.max(1, Math.round(60 / speed)),
    ...(cloudLog && { log: cloudLog }),
  };
}

/** VLANs of the floor's tenants, and the addresses that CloudStack allots there. */
export const redVlan = 200;
export const blueVlan = 300;

/**
 * A whole stage: the simulated floor, a management server, and the real service as a process of its own, which knows of them
 * only what its configuration and the rack config say.
 */
export class Stage {
  readonly directory: string;
  readonly floor: LabFloor;
  readonly #options: StageOptions;
  readonly #cloudAddress: { readonly host: string; readonly port: number };
  #cloud: LabManagementServer;
  #service: RunningService | null = null;
  #admin: AdminClient | null = null;
  #upstream: Upstream | null = null;
  /** Where the service finds the upstream MAAS. */
  #reached = '';
  #nextMac = 1;

  static async start(options: StageOptions): Promise<Stage> {
    mkdirSync(options.directory, { recursive: true });
    const speed = options.speed ?? 20;
    const floor = await LabFloor.start({
      directory: path.join(options.directory, 'floor'),
      machines: options.machines ?? 1,
      speed,
      ...options.floor,
    });
    const cloud = new LabManagementServer(cloudOptions(options));
    await cloud.start();
    const stage = new Stage(options, floor, cloud);
    stage.#writeFiles();
    return stage;
  }

  private constructor(options: StageOptions, floor: LabFloor, cloud: LabManagementServer) {
    this.#options = options;
    this.directory = options.directory;
    this.floor = floor;
    this.#cloud = cloud;
    this.#cloudAddress = cloud.address;
  }

  /** The management server of the moment. */
  get cloud(): LabManagementServer {
    return this.#cloud;
  }

  /** The management server dies; another one of its cluster is at the same address after `pause` milliseconds. */
  async replaceCloud(pause = 0): Promise<void> {
    const { authority, cluster, mgmtId } = this.#cloud;
    const old = this.#cloud;
    const next = new LabManagementServer({
      ...cloudOptions(this.#options),
      ...this.#cloudAddress,
      authority,
      cluster,
      mgmtId: mgmtId + 1n,
    });
    this.#cloud = next;
    await old.stop();
    if (pause > 0) await delay(pause);
    await next.start();
  }

  /** A service that somebody else started with this stage's configuration: from now on what is asked is asked there. */
  adopt(service: RunningService): void {
    this.#service = service;
    this.#admin = new AdminClient(service.adminUrl, readFileSync(this.tokenFile, 'utf8').trim());
  }

  get service(): RunningService {
    if (!this.#service) throw new Error('the service is not running');
    return this.#service;
  }

  get admin(): AdminClient {
    if (!this.#admin) throw new Error('the service was not started yet');
    return this.#admin;
  }

  get configFile(): string {
    return path.join(this.directory, 'csbm.yaml');
  }

  get tokenFile(): string {
    return path.join(this.directory, 'state', 'admin.token');
  }

  get serviceLog(): string {
    return path.join(this.directory, 'service.log');
  }

  /** Starts the service, or starts it again after an end, on the same state. */
  async serve(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const launch = this.#launch;
    if (this.#options.upstream && !this.#upstream) {
      this.#upstream = await this.#startUpstream();
      const { root } = this.#upstream;
      this.#reached = (await this.#options.upstream.reach?.(root)) ?? root;
      this.#writeConfig(0);
    }
    const service = await launch({
      configFile: this.configFile,
      logFile: this.serviceLog,
      env: { ...this.#options.env, ...env },
    });
    this.#service = service;
    const boot = new URL(service.bootUrl);
    // Machines in the middle of an install go on at the same address after a restart.
    this.#writeConfig(Number(boot.port));
    if (!this.#upstream) this.floor.setBootService({ host: boot.hostname, port: Number(boot.port) });
    this.#admin = new AdminClient(service.adminUrl, readFileSync(this.tokenFile, 'utf8').trim());
  }

  /** Uploads the rack config and the image, enrols every machine and commissions it, so many at once. */
  async furnish(grade: 'quick' | 'full' = 'full', atOnce = this.floor.machines.length): Promise<void> {
    await this.admin.call('PUT', '/rack-config', this.floor.rackConfig());
    if (!this.#upstream) await this.addImage();
    const names = this.floor.machines.map(({ machine }) => machine.name);
    const lane = new Semaphore(atOnce);
    await Promise.all(names.map((name) => lane.run(() => this.enrol(name))));
    await Promise.all(
      names.map((name) =>
        lane.run(() => this.admin.operation('POST', `/machines/${name}/commission`, { grade })),
      ),
    );
  }

  /** Uploads the image that instances ask for. */
  async addImage(): Promise<void> {
    const raw = makeLabImage({
      name: 'lab-linux',
      canBond: true,
      bytes: this.#options.imageBytes ?? 4 * 2 ** 20,
    });
    await this.admin.upload(
      '/images?name=lab-linux&canBond=true&firstBoot=nocloud&alias=http://templates.example/lab-linux',
      gzipSync(raw, { level: 1 }),
    );
  }

  get #launch(): (options: ServiceProcessOptions) => Promise<RunningService> {
    return this.#options.launch ?? ((options) => ServiceProcess.start(options));
  }

  async #startUpstream(): Promise<Upstream> {
    const upstream = await Upstream.start({
      directory: path.join(this.directory, 'upstream'),
      floor: this.floor,
      config: this.#commonConfig(),
      imageBytes: this.#options.imageBytes ?? 4 * 2 ** 20,
      launch: this.#launch,
    });
    await upstream.furnish();
    return upstream;
  }

  get hasUpstream(): boolean {
    return this.#upstream !== null;
  }

  /** The upstream MAAS of the stage. */
  get upstream(): Upstream {
    if (!this.#upstream) throw new Error('the stage has no upstream MAAS');
    return this.#upstream;
  }

  async enrol(name: string): Promise<void> {
    const { machine, bmcAddress } = this.floor.find(name);
    await this.admin.call('POST', '/machines', {
      hostname: name,
      macs: machine.nics.map((nic) => nic.mac),
      bmc: { ...bmcAddress, username: this.floor.username, password: this.floor.password },
      ...(this.#upstream && { engine: 'maas' }),
      ...(this.#inCloud(name) && {
        cloudPlace: { cloud: 'cloudstack', zone: 'zone-1', pod: 'pod-1', cluster: '1' },
      }),
    });
  }

  #inCloud(name: string): boolean {
    const { maas, outside } = this.#options;
    return outside ? !outside.includes(name) : !maas;
  }

  /** Of the MAAS API, as its clients are given it. */
  get maasRoot(): string {
    if (!this.service.maasUrl) throw new Error('the stage has no MAAS API');
    return `${this.service.maasUrl}/MAAS`;
  }

  /** An instance for a StartCommand, with MACs that the virtual router has reservations for. */
  instance(name: string, vlans: readonly number[] = [redVlan], more: Partial<LabInstance> = {}): LabInstance {
    const nics = vlans.map((vlan, deviceId): LabNic => {
      const mac = parseMac(`06:00:ac:10:00:${(this.#nextMac++).toString(16).padStart(2, '0')}`);
      const { address } = this.floor.router.reserve(vlan, mac);
      return { mac, deviceId, defaultNic: deviceId === 0, ip: address, broadcastUri: `vlan://${vlan}` };
    });
    const id = this.#nextMac + 70;
    return {
      name,
      id,
      uuid: `00000000-0000-4000-8000-${id.toString().padStart(12, '0')}`,
      hostName: name.toLowerCase(),
      template: this.#upstream ? 'csbm://lab-linux' : 'http://templates.example/lab-linux',
      nics,
      doPxe: true,
      ...more,
    };
  }

  /** The host of a machine at the management server, once it is Up. */
  async host(name: string): Promise<bigint> {
    const { machine } = await this.admin.call('GET', `/machines/${name}`);
    const { cloudPlace } = machine as { readonly cloudPlace: { readonly guid: string } };
    return (await this.cloud.waitForHost(cloudPlace.guid, { timeout: 30_000 })).hostId;
  }

  async stop(): Promise<void> {
    await this.#service?.stop();
    await this.#upstream?.service.stop();
    await this.cloud.stop();
    await this.floor.stop();
  }

  #writeFiles(): void {
    const state = path.join(this.directory, 'state');
    const ramdisk = path.join(state, 'ramdisk');
    mkdirSync(ramdisk, { recursive: true, mode: 0o700 });
    // The floor's machines fetch the ramdisk for real; what runs then is the simulated agent.
    writeFileSync(path.join(ramdisk, 'vmlinuz'), 'stands for a kernel');
    writeFileSync(path.join(ramdisk, 'initrd'), 'stands for an initial ramdisk');
    writeFileSync(this.#pinFile, this.cloud.authority.pem);
    this.#writeConfig(0);
  }

  get #pinFile(): string {
    return path.join(this.directory, 'cloud-ca.pem');
  }

  #writeConfig(bootPort: number): void {
    const { host, port } = this.#cloudAddress;
    const { upstream, maas } = this.#options;
    const lines = [
      `stateDir: ${JSON.stringify(path.join(this.directory, 'state'))}`,
      `boot: { port: ${bootPort} }`,
      `cloudstack: { agent: { enabled: true, servers: ["${host}:${port}"], caFile: ${JSON.stringify(this.#pinFile)} } }`,
      ...(maas ? [`maas: ${JSON.stringify({ enabled: true, port: 0, ...maas })}`] : []),
      ...(this.#upstream && upstream
        ? [`deploy: ${JSON.stringify({ maas: { default: this.#upstreamSettings() } })}`]
        : []),
      ...this.#commonConfig(),
    ];
    writeFileSync(this.configFile, `${lines.join('\n')}\n`);
  }

  #upstreamSettings(): Readonly<Record<string, unknown>> {
    const speed = this.#options.speed ?? 20;
    return {
      endpoint: this.#reached,
      apiKey: `file:${this.upstream.keyFile}`,
      pollInterval: `${2_000 / speed}ms`,
      pollMax: `${10_000 / speed}ms`,
      ...this.#options.upstream?.settings,
    };
  }

  /** What the configuration of every service on this floor says. */
  #commonConfig(): readonly string[] {
    const speed = this.#options.speed ?? 20;
    // IPMI answers do not come faster on a fast floor: a lost session must still be noticed within these.
    const timings = {
      scale: String(speed),
      // IPMI answers and two busy cores do not get faster either.
      ...{ powerOff: '2m', powerOn: '2m', leaseTtl: '4m', leaseHeartbeat: '20s' },
      ...this.#options.timings,
    };
    return [
      'http: { port: 0 }',
      // All machines of a floor come from one address, and twenty times as often as real ones.
      'limits: { connectionsPerAddress: 4096, bootsPerSecond: 0 }',
      `erase: { defaultGrade: ${this.#options.eraseGrade ?? 'quick'} }`,
      'log: { level: debug }',
      `power: { settings: { pollEvery: ${1_000 / speed}, repeatAfter: ${10_000 / speed}, idleAfter: ${20_000 / speed}, busyPause: ${1_000 / speed}, slotPause: ${5_000 / speed}, answerTimeouts: ${speed > 1 ? '[300, 600, 900]' : '[1000, 2000, 3000]'}, onceTimeout: 1000 } }`,
      ...Object.entries(this.#options.sections ?? {}).map(
        ([key, value]) => `${key}: ${JSON.stringify(value)}`,
      ),
      'timings:',
      ...Object.entries(timings).map(([key, value]) => `  ${key}: ${value}`),
    ];
  }
}
