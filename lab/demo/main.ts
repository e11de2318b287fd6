/** `make demo`: the whole life of an instance on a simulated floor, with the real service, checked on the floor itself. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { milliseconds } from '../../plugin-api/index.ts';
import { faster, lifelike } from '../machine/index.ts';
import { folderPrefix, knownProcess, writeDemoRecord } from './demo-record.ts';
import { FloorWatch } from './floor-watch.ts';
import { Page } from './page.ts';
import { ServiceProcess } from './service-process.ts';
import { Stage } from './stage.ts';
import { whatTheFloorShows } from './story/closing.ts';
import { failedStart } from './story/failed-start.ts';
import { fencedDestroy } from './story/fenced-destroy.ts';
import { instanceLife } from './story/instance-life.ts';
import { cloudConnects, demoImageBytes, floorAndService, serversJoin } from './story/opening.ts';
import { Show, vlans, type Fault } from './story/show.ts';
import { whatToTry } from './what-to-try.ts';

const speed = 20;
/** How long the service gets to end in order before it is killed. */
const patience = 5_000;
const mebibyte = 2 ** 20;
/** How many lines of the service's log are shown after a failure. */
const tailLines = 12;
/** How a line of pino's level "debug" begins. */
const debugLine = '{"level":20,';

/** One run of the demo: what it started, and how that ends. */
class Demo {
  readonly #folder = mkdtempSync(path.join(tmpdir(), folderPrefix));
  readonly #transcript = `${this.#folder}.txt`;
  readonly #keep = isSet('KEEP');
  readonly #page: Page;
  readonly #engine = engineOf(process.env['ENGINE']);
  /** In the order of their start: the upstream MAAS, where there is one, then the service itself. */
  readonly #services: ServiceProcess[] = [];
  #ending = false;
  /** The whole story was told, and well. */
  #told = false;

  constructor() {
    this.#page = new Page({
      terminal: process.stdout,
      transcript: this.#transcript,
      verbose: isSet('V'),
      env: process.env,
    });
    this.#record();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => void this.#interrupt(signal));
    // Nobody reads us any more: `make demo | head`.
    process.stdout.on('error', () => void this.#interrupt('SIGPIPE'));
    process.on('exit', () => this.#signal('SIGKILL'));
    for (const event of ['uncaughtException', 'unhandledRejection'])
      process.on(event, (thrown: unknown) => void this.#fail(thrown));
  }

  async run(): Promise<void> {
    try {
      await this.#tell();
    } catch (thrown) {
      await this.#fail(thrown);
    }
  }

  async #tell(): Promise<void> {
    const page = this.#page;
    page.title('csbm demo: the life of an instance on a physical server, on a simulated floor');
    page.text(
      `   state: ${this.#folder}${this.#keep ? '' : ' (removed at the end)'}`,
      `   full transcript: ${this.#transcript} (V=1 prints it)`,
    );
    const wire = { bytesPerSecond: 48 * mebibyte };
    const stage = await this.#stage(wire);
    const watch = new FloorWatch(stage.floor, (line) => page.detail(line));
    page.collect(() => watch.news());
    const show = new Show({ page, stage, watch, wire, fault: faultOf(process.env['CSBM_DEMO_FAULT']) });
    await floorAndService(show);
    await serversJoin(show);
    const neighbour = await cloudConnects(show);
    await instanceLife(show);
    await failedStart(show);
    await fencedDestroy(show);
    whatTheFloorShows(show, neighbour);
    if (page.failed > 0) return this.#fail(null);
    if (this.#keep) {
      this.#record({ kept: true });
      this.#told = true;
      page.text(...whatToTry(stage, this.#folder));
      page.text(this.#verdict());
      return;
    }
    await this.#finish(stage);
  }

  #stage(wire: { readonly bytesPerSecond: number }): Promise<Stage> {
    const timing = {
      ...faster(lifelike, speed),
      progress: milliseconds(100),
      get bytesPerSecond() {
        return wire.bytesPerSecond;
      },
    };
    return Stage.start({
      directory: this.#folder,
      machines: 3,
      speed,
      eraseGrade: 'secure',
      pingInterval: 1,
      cloudLog: (line) => this.#page.detail(`management server: ${line}`),
      imageBytes: demoImageBytes,
      ...(this.#engine === 'maas' && { upstream: {} }),
      launch: async (options) => {
        const service = new ServiceProcess({ ...options, apart: true });
        this.#services.push(service);
        this.#record();
        await service.up();
        return service;
      },
      floor: {
        machine: { timing },
        provisioning: { vlan: vlans.provisioning },
        networks: [
          { name: 'red-front', tenant: 'red', vlan: vlans.red, prefix: '10.1.200' },
          { name: 'red-back', tenant: 'red', vlan: vlans.redBackend, prefix: '10.1.201' },
          { name: 'red-backup', tenant: 'red', vlan: vlans.redBackup, prefix: '10.1.202' },
          { name: 'blue-front', tenant: 'blue', vlan: vlans.blue, prefix: '10.2.30' },
        ],
        disks: (name) => [
          { name: 'vda', serial: `SSD-${name}`, bytes: 40 * mebibyte, secureCapable: true },
          { name: 'vdb', serial: `HDD-${name}`, bytes: 8 * mebibyte, rotational: true },
        ],
      },
    });
  }

  /** Everything ended well: nothing stays but the transcript. */
  async #finish(stage: Stage): Promise<void> {
    await this.#endService();
    await stage.stop();
    const code = await stage.service.exited;
    this.#page.check('csbm ended in order', code === 0, `exit code ${code}`);
    if (this.#page.failed > 0) return this.#fail(null);
    this.#ending = true;
    rmSync(this.#folder, { recursive: true, force: true });
    this.#page.text(
      `   Everything is ended and ${this.#folder} is removed. KEEP=1 leaves it up to be tried.`,
      '',
    );
    this.#page.text(this.#verdict());
    this.#page.close();
    process.exit(0);
  }

  /** Something was not as it should be: the folder stays, to be looked at. */
  async #fail(thrown: unknown): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const page = this.#page;
    if (thrown !== null) {
      const text = thrown instanceof Error ? thrown.message : JSON.stringify(thrown);
      page.detail(thrown instanceof Error ? (thrown.stack ?? text) : text);
      page.check('the demo went on to its end', false, text);
    }
    this.#record({ failed: true });
    const lastLines = tail(path.join(this.#folder, 'service.log'));
    await this.#endService();
    page.text(
      '',
      '   The last lines of the service log:',
      ...lastLines.map((line) => `   ${line}`),
      '',
      `   Look in ${this.#folder} (service.log, csbm.yaml, state) and ${this.#transcript}; both are kept.`,
      '',
    );
    page.text(this.#verdict());
    page.close();
    process.exit(1);
  }

  /**
   * Ctrl-C and its like, at any moment: every child is ended, and nothing is left. A second one does not wait. For a demo
   * that only stays up it is the good end.
   */
  async #interrupt(signal: NodeJS.Signals): Promise<void> {
    const again = this.#ending;
    this.#ending = true;
    this.#page.silence();
    if (!again) await this.#endService();
    this.#signal('SIGKILL');
    try {
      // From here to the exit no other code of this process runs; a log that it was just opening may still appear.
      rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 });
      rmSync(this.#transcript, { force: true });
    } finally {
      process.exit(this.#told ? 0 : 128 + constants.signals[signal]);
    }
  }

  async #endService(): Promise<void> {
    // The service before the MAAS that it asks.
    for (const service of [...this.#services].reverse()) {
      service.signal('SIGTERM');
      const timer = setTimeout(() => service.signal('SIGKILL'), patience);
      await service.exited;
      clearTimeout(timer);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    for (const service of this.#services) service.signal(signal);
  }

  #record(more: { readonly kept?: boolean; readonly failed?: boolean } = {}): void {
    const demo = knownProcess(process.pid);
    if (!demo) return;
    const known = this.#services.map(({ pid }) => knownProcess(pid));
    const [service = null, upstream = null] = this.#engine === 'maas' ? [known[1], known[0]] : known;
    writeDemoRecord(this.#folder, { demo, service, upstream, kept: false, failed: false, ...more });
  }

  #verdict(): string {
    return `demo: ${this.#page.passed} checks passed, ${this.#page.failed} failed`;
  }
}

function isSet(name: string): boolean {
  return !['', '0', undefined].includes(process.env[name]);
}

/** Who installs the servers: the service itself, or an upstream MAAS. */
function engineOf(text: string | undefined): 'native' | 'maas' {
  if (!text || text === 'native') return 'native';
  if (text === 'maas') return 'maas';
  throw new Error(`ENGINE=${text} is no deploy engine of the demo: use native or maas`);
}

function faultOf(text: string | undefined): Fault | null {
  if (!text) return null;
  if (text === 'foreign-vlan' || text === 'erase-skips') return text;
  throw new Error(`CSBM_DEMO_FAULT=${text} is no fault that the demo knows`);
}

/** The end of the service's log, without what only developers read. */
function tail(file: string): string[] {
  if (!existsSync(file)) return ['(there is none)'];
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.filter((line) => !line.startsWith(debugLine)).slice(-tailLines);
}

await new Demo().run();
