import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { loadConfig } from '../../../src/config/load-config.ts';
import type { Tx } from '../../../src/core/storage/storage.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { startService, type Service } from '../../../src/main.ts';
import type {
  ErrorView,
  HealthView,
  ImageView,
  MachineView,
  OperationView,
  PlanSection,
  PortView,
  PrincipalView,
  QuarantineView,
  StepView,
  SwitchView,
  WireView,
} from '../../../src/cli/admin/api-types.ts';
import type { RackProblem } from '../../../rack-config/index.ts';
import { openStorage } from '../../../src/store/open-storage.ts';
import { PublishedApi } from './published-api.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The parsed body, trusted to have what the test reads; empty when it is not JSON. */
  readonly json: Body;
}

/** Whatever the API answers, by the types that csbm itself reads it with. */
export interface Body {
  readonly error: ErrorView & { readonly message: string; readonly problems: readonly RackProblem[] };
  readonly machine: MachineView;
  readonly machines: readonly MachineView[];
  readonly operation: OperationView;
  readonly joined: boolean;
  readonly operations: readonly OperationView[];
  readonly steps: readonly StepView[];
  readonly plan: readonly PlanSection[];
  readonly wiring: readonly WireView[];
  readonly ports: readonly PortView[];
  readonly switches: readonly (SwitchView & { readonly username: string })[];
  readonly wires: readonly WireView[];
  readonly image: ImageView;
  readonly images: readonly ImageView[];
  readonly principals: readonly PrincipalView[];
  readonly token: string;
  readonly quarantined: HealthView['quarantined'];
  readonly quarantinedDevices: HealthView['quarantinedDevices'];
  readonly quarantines: readonly QuarantineView[];
  readonly activeOperations: number;
}

export interface CallOptions {
  readonly body?: unknown;
  /** Sent as it is, as `type`. */
  readonly raw?: string | Buffer;
  readonly type?: string;
  /** null = none. Default: the first administrator's. */
  readonly token?: string | null;
}

/**
 * Fifty times faster than life, on free ports, with its state in a folder of its own. Most machines of the tests have no BMC that
 * answers: that puts nothing into quarantine here.
 */
const config = `
stateDir: ./state
timings: {scale: 50}
quarantine: {bmcDead: 24h, switchDead: 24h}
power:
  settings: {answerTimeouts: [100, 200], pollEvery: 20, idleAfter: 500, closeTimeout: 100}
`;

/** The real service over real HTTP. */
export class AdminService {
  readonly folder = mkdtempSync(join(tmpdir(), 'csbm-admin-'));
  readonly configFile = join(this.folder, 'csbm.yaml');
  readonly tokenFile = join(this.folder, 'state', 'admin.token');
  readonly #log: string[] = [];
  #service: Service | null = null;

  /** Answers are held against what the service publishes of itself. */
  #published: PublishedApi | null = null;

  /**
   * @param http its section `http` of csbm.yaml, in YAML's flow style; `boot` alike
   * @param more further sections
   */
  constructor(http = '{port: 0}', more = '', boot = '{port: 0}') {
    writeFileSync(this.configFile, `${config}http: ${http}\nboot: ${boot}\n${more}`);
  }

  get url(): string {
    assert.ok(this.#service, 'the service is not running');
    return this.#service.adminUrl;
  }

  get bootUrl(): string {
    assert.ok(this.#service, 'the service is not running');
    return this.#service.bootUrl;
  }

  /** Looks at its certificate files now. */
  reload(): void {
    this.#service?.reload();
  }

  get directUrl(): string {
    assert.ok(this.#service?.directUrl, 'the direct door is not open');
    return this.#service.directUrl;
  }

  get maasUrl(): string {
    assert.ok(this.#service?.maasUrl, 'the MAAS door is not open');
    return this.#service.maasUrl;
  }

  /** What the running service reads and writes, for states that only devices could bring about. */
  get storage(): Service['inside']['storage'] {
    assert.ok(this.#service, 'the service is not running');
    return this.#service.inside.storage;
  }

  get allocations(): Service['inside']['allocations'] {
    assert.ok(this.#service, 'the service is not running');
    return this.#service.inside.allocations;
  }

  get token(): string {
    return readFileSync(this.tokenFile, 'utf8').trim();
  }

  /** Everything it has logged. */
  get log(): string {
    return this.#log.join('');
  }

  async start(): Promise<void> {
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#log.push(chunk.toString());
        done();
      },
    });
    const env = {};
    this.#service = await startService({
      config: loadConfig({ path: this.configFile, env }).config,
      log: createLog({ level: 'debug', destination }),
      env,
    });
    if (this.url.startsWith('http:')) this.#published ??= await PublishedApi.read(this.url);
  }

  async stop(): Promise<void> {
    await this.#service?.stop();
    this.#service = null;
  }

  /** Stops it and removes everything. */
  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Changes the database while nobody serves it. */
  async offline(work: (tx: Tx) => Promise<void>): Promise<void> {
    await this.stop();
    const state = join(this.folder, 'state');
    const storage = await openStorage({
      type: 'sqlite',
      file: join(state, 'csbm.sqlite'),
      key: { file: join(state, 'secret.key') },
      clock: new SystemClock(),
    });
    try {
      await storage.run(work);
    } finally {
      await storage.close();
    }
    await this.start();
  }

  /** `path` is below `/api/v1`. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const { body, raw, type = 'application/json', token = this.token } = options;
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(payload !== undefined && { 'content-type': type }),
      },
      ...(payload !== undefined && { body: payload }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    const json = (isJson ? JSON.parse(text) : {}) as Body;
    if (isJson) this.#published?.check(method, path, response.status, json);
    return { status: response.status, text, json };
  }

  get(path: string): Promise<Answer> {
    return this.call('GET', path);
  }

  post(path: string, body: unknown = {}): Promise<Answer> {
    return this.call('POST', path, { body });
  }

  /** Waits until the answer is as wanted, asking again and again for at most 15 s. */
  async until(path: string, wanted: (body: Body) => boolean): Promise<Body> {
    const end = Date.now() + 15_000;
    for (;;) {
      const { json } = await this.get(path);
      if (wanted(json)) return json;
      assert.ok(Date.now() < end, `${path} did not become as wanted: ${JSON.stringify(json)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Nothing that the service says may contain it. */
export const bmcPassword = 'b3-Secr3t-pw';

interface Enrolment {
  readonly hostname: string;
  readonly macs: readonly string[];
}

/** The body of an enrolment; the BMC is one that nobody answers for, unless said otherwise. */
export function enrolment(n: number, more: Readonly<Record<string, unknown>> = {}): Enrolment {
  const byte = n.toString(16).padStart(2, '0');
  const usual = {
    hostname: `node-${n}`,
    macs: [`52:54:00:aa:00:${byte}`, `52:54:00:bb:00:${byte}`],
    bmc: { host: '127.0.0.1', port: 40_000 + n, username: 'admin', password: bmcPassword },
  };
  return { ...usual, ...more };
}

/** Two machines on one switch. */
export function rackConfig(ports: readonly [string, string] = ['Te 1/1', 'Te 1/2']): string {
  const hosts = ports.map((port, i) => ({ mac: `52:54:00:aa:00:0${i + 1}`, port, server: `node-${i + 1}` }));
  const l2Switch = {
    ip: '127.0.0.1',
    username: 'admin',
    password: 'sw1tch-Secr3t',
    type: 'Force10',
    name: 'tor-a',
    uplinks: ['fortyGigE 1/49'],
    park: 'shut',
    provisioning: { vlan: 20 },
  };
  const { provisioning, ...rest } = l2Switch;
  return JSON.stringify({ provisioning, racks: [{ l2Switch: rest, hosts }] }, null, 2);
}

/** An error body: has the code, and a text of its own. */
export function assertRefused(answer: Answer, status: number, code: string): string {
  assert.equal(answer.status, status, answer.text);
  const { error } = answer.json;
  assert.equal(error.code, code);
  assert.match(error.retry, /^(never|later|operator)$/);
  assert.ok(error.what.length > 5);
  assert.ok(error.message.endsWith(`[${code}]`), error.message);
  return error.what;
}
