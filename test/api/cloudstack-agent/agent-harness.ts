import { Secret, type Duration } from '../../../plugin-api/index.ts';
import {
  createAuthority,
  type Authority,
  type Certificate,
} from '../../../lab/management-server/certificate.ts';
import {
  LabManagementServer,
  type LabManagementServerOptions,
} from '../../../lab/management-server/lab-management-server.ts';
import type { AgentCommands } from '../../../src/api/cloudstack-agent/agent-commands.ts';
import type { AgentLinkState, AgentLinkStatus } from '../../../src/api/cloudstack-agent/agent-link.ts';
import { AgentService } from '../../../src/api/cloudstack-agent/agent-service.ts';
import type { AgentHost } from '../../../src/api/cloudstack-agent/cloud-hosts.ts';
import type {
  AgentSettings,
  CloudCredentials,
  CloudEndpoint,
  ServerTrust,
} from '../../../src/api/cloudstack-agent/agent-settings.ts';
import { clientIdentity } from '../../../src/api/cloudstack-agent/client-identity.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import type { PowerReport } from '../../../src/wire/cloudstack/message/ping-routing-command.ts';
import type { HostFacts } from '../../../src/wire/cloudstack/message/startup-routing-command.ts';

let shared: Authority | undefined;

/** One CA for all tests of a process: making RSA keys is slow. */
export function authority(): Authority {
  shared ??= createAuthority();
  return shared;
}

/** Everything about a hundred times faster than life. */
export const fast: AgentSettings = {
  connectTimeout: 2_000 as Duration,
  handshakeTimeout: 2_000 as Duration,
  startupTimeout: 2_000 as Duration,
  readyTimeout: 2_000 as Duration,
  reconnectMin: 10 as Duration,
  reconnectMax: 50 as Duration,
  refusedRetry: 40 as Duration,
  pingInterval: 20 as Duration,
  unansweredPings: 100,
  reportTimeout: 1_000 as Duration,
  closeTimeout: 500 as Duration,
  concurrentConnects: 8,
  awayFor: 30 as Duration,
  balanceInterval: 30 as Duration,
  probeTimeout: 2_000 as Duration,
  moveDelay: 30 as Duration,
};

/** Credentials that never change: whom to trust, and who we are. */
export function fixed(
  trust: ServerTrust = { pin: authority().der },
  certificate: Certificate | null = null,
): CloudCredentials {
  const identity = certificate && clientIdentity(certificate.pem, new Secret(certificate.keyPem));
  const refuse = (): Promise<never> => Promise.reject(new Error('these credentials never change'));
  return {
    current: () => Promise.resolve({ trust, identity }),
    requestCertificate: refuse,
    installCertificate: refuse,
  };
}

export const facts: HostFacts = {
  guid: 'b1f2c3d4-1111-2222-3333-444455556666-BareMetalProvider',
  name: 'bm-node-07',
  zone: '1',
  pod: '1',
  cluster: '3',
  hypervisorType: 'BareMetal',
  arch: 'x86_64',
  cpus: 32,
  speedMhz: 2400,
  memoryBytes: 137_438_953_472,
  privateIp: '10.9.8.7',
  privateMac: '52:54:00:12:34:56',
};

export const machineId = 'abc123';

interface Call {
  readonly verb: Exclude<keyof AgentCommands, 'instancePower' | 'checkHealth'>;
  readonly machineId: string;
  readonly request: Parameters<AgentCommands[Call['verb']]>[1];
}

/** A service with one machine, and everything that tests look at. */
export class AgentHarness {
  readonly calls: Call[] = [];
  readonly savedHostIds: bigint[] = [];
  readonly forgotten: string[] = [];
  readonly logLines: string[] = [];
  /** What a command does; resolves at once unless replaced. */
  perform: (call: Call) => Promise<void> = () => Promise.resolve();
  report: () => Promise<PowerReport | null> = () => Promise.resolve(null);
  power: 'PowerOn' | 'PowerOff' | 'PowerUnknown' = 'PowerUnknown';
  health: () => Promise<void> = () => Promise.resolve();
  reportsAsked = 0;
  readonly log = createLog({
    level: 'debug',
    destination: {
      write: (line) => {
        this.logLines.push(line);
        for (const server of this.#servers) server.nudge();
      },
    },
  });
  readonly service: AgentService;
  readonly #servers: LabManagementServer[] = [];

  constructor(settings: Partial<AgentSettings> = {}) {
    const perform =
      (verb: Call['verb']) =>
      (id: string, request: Call['request']): Promise<void> => {
        const call = { verb, machineId: id, request };
        this.calls.push(call);
        for (const server of this.#servers) server.nudge();
        return this.perform(call);
      };
    const commands: AgentCommands = {
      start: perform('start'),
      stop: perform('stop'),
      reboot: perform('reboot'),
      plugNic: perform('plugNic'),
      unplugNic: perform('unplugNic'),
      destroy: perform('destroy'),
      instancePower: () => Promise.resolve(this.power),
      checkHealth: () => this.health(),
    };
    this.service = new AgentService({
      clock: new SystemClock(),
      log: this.log,
      commands,
      powerReport: () => {
        this.reportsAsked += 1;
        const report = this.report();
        for (const server of this.#servers) server.nudge();
        return report;
      },
      saveHostId: (_id, hostId) => {
        this.savedHostIds.push(hostId);
        return Promise.resolve();
      },
      forgetPlace: (id) => {
        this.forgotten.push(id);
        for (const server of this.#servers) server.nudge();
        return Promise.resolve();
      },
      settings: { ...fast, ...settings },
      random: () => 0.5,
    });
  }

  async server(options: LabManagementServerOptions = {}): Promise<LabManagementServer> {
    const server = new LabManagementServer({ authority: authority(), ...options });
    await server.start();
    this.#servers.push(server);
    return server;
  }

  /** Takes over servers that run already: they are heard, and stopped at the end. */
  adopt<T extends readonly LabManagementServer[]>(servers: T): T {
    this.#servers.push(...servers);
    return servers;
  }

  async connect(
    servers: LabManagementServer | readonly LabManagementServer[],
    change: Partial<Omit<AgentHost, 'endpoint'>> & { readonly endpoint?: Partial<CloudEndpoint> } = {},
  ): Promise<void> {
    const list = servers instanceof LabManagementServer ? [servers] : servers;
    const { endpoint, ...host } = change;
    await this.service.add({
      machineId,
      facts,
      hostId: null,
      ...host,
      endpoint: {
        servers: list.map((server) => server.address),
        credentials: fixed(),
        ...endpoint,
      },
    });
  }

  get status(): AgentLinkStatus {
    return this.service.status(machineId)!;
  }

  /** Waits until something is so; asked again after each call, log line and server event. */
  until<T>(what: string, probe: () => T | undefined, timeout?: number): Promise<T> {
    return this.#servers[0]!.until(what, probe, timeout);
  }

  reached(state: AgentLinkState): Promise<AgentLinkStatus> {
    return this.until(`state ${state}`, () => (this.status.state === state ? this.status : undefined));
  }

  logged(message: RegExp): Promise<string> {
    return this.until(`log line ${message}`, () => this.logLines.find((line) => message.test(line)));
  }

  /** Ends every link in order; the service goes on. */
  async disconnect(): Promise<void> {
    await Promise.all(this.service.statuses().map((link) => this.service.remove(link.machineId)));
  }

  async close(): Promise<void> {
    await this.service.stop();
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}
