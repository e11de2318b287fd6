import { randomInt, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type { ParsedEntry } from '../../src/wire/cloudstack/body.ts';
import type { Frame } from '../../src/wire/cloudstack/frame.ts';
import { FramedTlsLink } from '../../src/wire/cloudstack/framed-tls-link.ts';
import { flagField, objectField, textField, type GsonFields } from '../../src/wire/cloudstack/gson-reader.ts';
import { RawJson } from '../../src/wire/cloudstack/gson-writer.ts';
import { flag, type FrameHeader } from '../../src/wire/cloudstack/header.ts';
import { answerClass } from '../../src/wire/cloudstack/message/answer.ts';
import { pingRoutingCommandClass } from '../../src/wire/cloudstack/message/ping-routing-command.ts';
import { readyCommandClass } from '../../src/wire/cloudstack/message/ready-command.ts';
import { shutdownCommandClass } from '../../src/wire/cloudstack/message/shutdown-command.ts';
import { startupRoutingCommandClass } from '../../src/wire/cloudstack/message/startup-routing-command.ts';
import { AgentConnection, commandEntry, type LabAnswer, type SendOptions } from './agent-connection.ts';
import { usualBehaviours, type LabBehaviours, type LabServerList } from './behaviours.ts';
import { createAuthority, type Authority } from './certificate.ts';
import { checkNetworkCommand, cleanupNetworkRulesCommand, type LabCommand } from './commands.ts';

export interface LabManagementServerOptions {
  /** 127.0.0.1 unless given. */
  readonly host?: string;
  /** A free port unless given. */
  readonly port?: number;
  /** Seconds; 60 unless given. */
  readonly pingInterval?: number;
  /** Demand a client certificate that names the agent's address (`ca.plugin.root.auth.strictness`). */
  readonly strict?: boolean;
  /** The CA whose certificate the server shows; a new one unless given. */
  readonly authority?: Authority;
  /** The cluster that the server belongs to; one of its own unless given. */
  readonly cluster?: LabCluster;
  /** Its id in the cluster (`msid`). */
  readonly mgmtId?: bigint;
  /** First sequence number of every link; random, and above 2^53, unless given. */
  readonly firstSequence?: bigint;
  /** Hears what happens, one line each. */
  readonly log?: (line: string) => void;
}

/** What the servers of one cluster share in their database: a host is the same host at each of them. */
export class LabCluster {
  readonly #hostIds = new Map<string, bigint>();

  hostId(guid: string): bigint {
    const id = this.#hostIds.get(guid) ?? 42n + BigInt(this.#hostIds.size);
    this.#hostIds.set(guid, id);
    return id;
  }
}

/** A host as the server has it. */
export interface LabHost {
  readonly hostId: bigint;
  readonly guid: string;
  /** Fields of the last StartupRoutingCommand. */
  readonly startup: GsonFields;
  /** The host id that the agent brought with it at the last Startup, or null. */
  readonly knownId: string | null;
  /** Up means: CheckNetwork and every ReadyCommand were answered. */
  readonly state: 'Connecting' | 'Up' | 'Disconnected' | 'Alert';
  /** How often it connected. */
  readonly connects: number;
}

/** A ping as it came. */
export interface LabPing {
  /** Power states by instance name, or null when the ping carried no report. */
  readonly report: ReadonlyMap<string, string> | null;
  readonly hostId: string | null;
  /** The report counts at once. */
  readonly outOfBand: boolean;
}

interface HostRow {
  host: LabHost;
  connection: AgentConnection | null;
  readonly pings: LabPing[];
}

/** Milliseconds that a test waits for something of the server unless it says otherwise. */
const defaultTimeout = 30_000;

/**
 * A management server as an agent sees it, on real sockets: framed TLS 1.2 with the CA certificate itself, Startup, CheckNetwork, two
 * Readys, pings, commands. It accepts bare-metal hosts, which a stock server does only with an adapter.
 */
export class LabManagementServer {
  readonly behaviours: LabBehaviours = usualBehaviours();
  readonly authority: Authority;
  readonly mgmtId: bigint;
  readonly cluster: LabCluster;
  /** What the real server would log as an error or lose silently. */
  readonly anomalies: string[] = [];
  readonly #options: LabManagementServerOptions;
  readonly #server: Server;
  readonly #secureContext: SecureContext;
  readonly #sockets = new Set<Socket>();
  readonly #hosts = new Map<bigint, HostRow>();
  readonly #probes = new Set<() => void>();
  readonly #stopping = new AbortController();
  #startups = 0;

  constructor(options: LabManagementServerOptions = {}) {
    this.#options = options;
    this.mgmtId = options.mgmtId ?? 90_520_735_428_613n;
    this.cluster = options.cluster ?? new LabCluster();
    this.authority = options.authority ?? createAuthority();
    const { keyPem: key, pem: cert } = this.authority;
    this.#secureContext = FramedTlsLink.context({ key, cert, ca: cert });
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  async start(): Promise<void> {
    this.#server.listen(this.#options.port ?? 0, this.#options.host ?? '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the management server stops'));
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** TCP connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Startups received since the server was made. */
  get startups(): number {
    return this.#startups;
  }

  hosts(): LabHost[] {
    return [...this.#hosts.values()].map((row) => row.host);
  }

  /** The host with this guid, as soon as it is Up, or for the `connects`th time Up. */
  waitForHost(guid: string, options: { connects?: number; timeout?: number } = {}): Promise<LabHost> {
    const up = (): LabHost | undefined =>
      this.hosts().find(
        (host) => host.guid === guid && host.state === 'Up' && host.connects >= (options.connects ?? 1),
      );
    return this.until(`host ${guid} to be Up`, up, options.timeout);
  }

  /** Pings of a host, oldest first. */
  pings(hostId: bigint): readonly LabPing[] {
    return this.#row(hostId).pings;
  }

  /** Asks all waiting probes again: for probes that look at something outside the server. */
  nudge(): void {
    this.#changed();
  }

  /** Resolves with the first value that `probe` gives, asked again after everything that happens at the server. */
  until<T>(what: string, probe: () => T | undefined, timeout = defaultTimeout): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => end(() => reject(new Error(`waited ${timeout} ms for ${what}`))),
        timeout,
      );
      const ask = (): void => {
        const value = probe();
        if (value !== undefined) end(() => resolve(value));
      };
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.#probes.delete(ask);
        settle();
      };
      this.#probes.add(ask);
      ask();
    });
  }

  /** Sends commands in one frame to a host that is connected, and waits for the answers. */
  async send(
    hostId: bigint,
    commands: readonly LabCommand[],
    options: SendOptions = {},
  ): Promise<LabAnswer[]> {
    const { connection } = this.#row(hostId);
    if (!connection) throw new Error(`host ${hostId} is not connected`);
    return connection.send(commands, options);
  }

  /** Cuts a host's link without a word. */
  dropLink(hostId: bigint): void {
    this.#row(hostId).connection?.link.destroy();
  }

  /** Sends bytes as one message on a host's link, whatever they are. */
  async sendRaw(hostId: bigint, bytes: Buffer): Promise<void> {
    await this.#row(hostId).connection?.link.send(bytes);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#changed();
    });
    socket.on('error', () => undefined);
    if (this.behaviours.closeBeforeHandshake) {
      socket.destroy();
      return;
    }
    const source = socket.remoteAddress ?? '';
    const link = FramedTlsLink.server(
      socket,
      {
        secureContext: this.#secureContext,
        requestCert: true,
        rejectUnauthorized: this.#options.strict ?? false,
      },
      {
        message: (bytes) => connection.receive(bytes),
        closed: (error) => this.#closed(connection, error),
      },
    );
    const first = this.#options.firstSequence ?? BigInt(randomInt(32, 32_767)) << 48n;
    const connection = new AgentConnection(link, this.mgmtId, first, {
      request: (frame, entries) => this.#request(connection, frame, entries),
      anomaly: (what) => this.#anomaly(what),
      sent: (classes) => this.#sent(connection, classes),
    });
    link.secured().then(
      () => {
        if (!this.#options.strict) return;
        const certificate = link.peerCertificate();
        const fault = !namesAddress(certificate, source)
          ? 'does not name it'
          : !this.behaviours.allowExpired && hasExpired(certificate!)
            ? 'has expired'
            : null;
        if (fault === null) return;
        this.#note(`refused ${source}: its certificate ${fault}`);
        link.destroy();
      },
      (error: unknown) => this.#note(`no handshake with ${source}: ${(error as Error).message}`),
    );
  }

  #request(connection: AgentConnection, frame: Frame, entries: readonly ParsedEntry[]): void {
    const first = entries[0];
    if (!first) return;
    if (first.className === startupRoutingCommandClass) {
      this.#startup(connection, frame.header, first).catch((error: unknown) =>
        this.#note(`connecting a host failed: ${(error as Error).message}`),
      );
    } else if (connection.agentId < 0n) {
      // The real server throws such a frame away silently.
      this.#anomaly(`${first.className} before Startup thrown away`);
    } else if (first.className === pingRoutingCommandClass) {
      this.#ping(connection, frame.header, first).catch(() => undefined);
    } else if (first.className === shutdownCommandClass) {
      this.#update(connection.agentId, { state: 'Disconnected' });
      this.#note(`host ${connection.agentId} exits: ${textField(first.fields, 'reason') ?? ''}`);
      void connection.link.end();
    } else {
      // An unknown class becomes BadCommand and is answered with a plain Answer (4.11+).
      connection.answer(frame.header, answerClass.Answer, {});
    }
  }

  async #startup(connection: AgentConnection, header: FrameHeader, entry: ParsedEntry): Promise<void> {
    this.#startups += 1;
    this.#changed();
    const { startupAnswer, refusal, readyCommands } = this.behaviours;
    if (startupAnswer === 'never') return;
    if (startupAnswer > 0) await delay(startupAnswer, undefined, { signal: this.#stopping.signal });
    const pingInterval = this.#options.pingInterval ?? 60;
    connection.answer(header, answerClass.StartupAnswer, {
      hostId: 0,
      hostName: '',
      hostUuid: '',
      pingInterval,
    });
    if (refusal !== null) {
      this.#refuse(connection, refusal);
      return;
    }
    const again = connection.agentId > 0n;
    const host = this.#attach(connection, entry.fields);
    if (again) {
      // A Startup on an attached link is answered twice with the same sequence.
      const { hostId, guid } = host;
      connection.answer(
        header,
        answerClass.StartupAnswer,
        {
          hostId,
          hostName: textField(entry.fields, 'name') ?? guid,
          hostUuid: hostUuid(hostId),
          pingInterval,
        },
        hostId,
      );
    }
    await this.#welcome(connection, host, readyCommands);
  }

  /** What the listeners send to a new host before it is Up. */
  async #welcome(connection: AgentConnection, host: LabHost, readyCommands: number): Promise<void> {
    const [network] = await connection.send([checkNetworkCommand()]);
    if (network?.className !== answerClass.CheckNetworkAnswer || !network.result) {
      this.#anomaly(
        `CheckNetworkCommand answered by ${network?.className ?? 'nothing'}: the host is disconnected`,
      );
      connection.link.destroy();
      return;
    }
    await connection.send([cleanupNetworkRulesCommand()]);
    for (let turn = 0; turn < readyCommands; turn += 1) {
      const [ready] = await connection.send([readyCommand(host, turn > 0 ? this.behaviours.servers : null)], {
        wait: 60,
        timeout: 60_000,
      });
      if (ready?.className !== answerClass.ReadyAnswer || !ready.result) {
        this.#anomaly(`ReadyCommand answered by ${ready?.className ?? 'nothing'}: the host is disconnected`);
        connection.link.destroy();
        return;
      }
    }
    this.#update(host.hostId, { state: 'Up' });
    this.#note(`host ${host.hostId} is Up: ${host.guid}`);
  }

  #attach(connection: AgentConnection, startup: GsonFields): LabHost {
    const guid = textField(startup, 'guid') ?? '';
    const old = [...this.#hosts.values()].find((row) => row.host.guid === guid);
    const host: LabHost = {
      hostId: this.cluster.hostId(guid),
      guid,
      startup,
      knownId: textField(startup, 'id'),
      state: 'Connecting',
      connects: (old?.host.connects ?? 0) + (old?.connection === connection ? 0 : 1),
    };
    const previous = old?.connection;
    this.#hosts.set(host.hostId, { host, connection, pings: old?.pings ?? [] });
    connection.attach(host.hostId);
    // The same host on a new link: the older link is closed.
    if (previous && previous !== connection) previous.link.destroy();
    return host;
  }

  #refuse(connection: AgentConnection, why: string): void {
    // Sequence and ids -1, FROM_SERVER clear; the link stays open and no answer is expected.
    const header: FrameHeader = {
      version: 0,
      reserved: 0,
      flags: flag.REQUEST | flag.STOP_ON_ERROR | flag.IN_SEQUENCE,
      sequence: -1n,
      length: 0,
      mgmtId: -1n,
      agentId: -1n,
      via: -1n,
    };
    const refusal = { className: readyCommandClass, fields: { _details: why }, inSequence: true };
    connection.post(header, [commandEntry(refusal)]);
    this.#note(`refused a host: ${why}`);
  }

  async #ping(connection: AgentConnection, header: FrameHeader, entry: ParsedEntry): Promise<void> {
    const report = objectField(entry.fields, '_hostVmStateReport');
    this.#row(connection.agentId).pings.push({
      hostId: textField(entry.fields, 'hostId'),
      outOfBand: flagField(entry.fields, 'outOfBand'),
      report:
        report === null
          ? null
          : new Map(
              Object.keys(report).map((name) => [
                name,
                textField(objectField(report, name) ?? {}, 'state') ?? '',
              ]),
            ),
    });
    this.#changed();
    const { pingAnswer, sendStartup, servers } = this.behaviours;
    if (pingAnswer === 'never') return;
    if (pingAnswer > 0) await delay(pingAnswer, undefined, { signal: this.#stopping.signal });
    this.behaviours.sendStartup = false;
    connection.answer(header, answerClass.PingAnswer, {
      _command: new RawJson(entry.text),
      sendStartup,
      avoidMsList: servers.avoid,
      reconcileCommands: [],
    });
  }

  #sent(connection: AgentConnection, classes: readonly string[]): void {
    if (this.behaviours.dropAfter === null || !classes.includes(this.behaviours.dropAfter)) return;
    this.behaviours.dropAfter = null;
    connection.link.destroy();
  }

  #closed(connection: AgentConnection, error: Error | null): void {
    connection.lost();
    const row = this.#hosts.get(connection.agentId);
    if (row?.connection === connection) {
      row.connection = null;
      if (row.host.state !== 'Disconnected') row.host = { ...row.host, state: 'Alert' };
    }
    this.#note(`link of host ${connection.agentId} closed${error ? `: ${error.message}` : ''}`);
    this.#changed();
  }

  #update(hostId: bigint, change: Partial<LabHost>): void {
    const row = this.#hosts.get(hostId);
    if (row) row.host = { ...row.host, ...change };
    this.#changed();
  }

  #row(hostId: bigint): HostRow {
    const row = this.#hosts.get(hostId);
    if (!row) throw new Error(`no host ${hostId}`);
    return row;
  }

  #anomaly(what: string): void {
    this.anomalies.push(what);
    this.#note(what);
    this.#changed();
  }

  #note(line: string): void {
    this.#options.log?.(line);
  }

  #changed(): void {
    for (const ask of [...this.#probes]) ask();
  }
}

function readyCommand(host: LabHost, list: LabServerList | null): LabCommand {
  const servers = list && {
    msHostList: list.hosts,
    avoidMsHostList: list.avoid,
    lbAlgorithm: list.algorithm,
    lbCheckInterval: list.checkInterval,
    enableHumanReadableSizes: true,
    arch: 'x86_64',
  };
  return {
    className: readyCommandClass,
    fields: {
      dcId: 1,
      hostId: host.hostId,
      hostUuid: hostUuid(host.hostId),
      hostName: textField(host.startup, 'name'),
      ...servers,
    },
    inSequence: true,
  };
}

function hostUuid(hostId: bigint): string {
  return `0f9e8d7c-6b5a-4a3b-8c2d-${hostId.toString().padStart(12, '0')}`;
}

function hasExpired(der: Buffer): boolean {
  return Date.parse(new X509Certificate(der).validTo) <= Date.now();
}

/** The stock trust manager looks for the source address in the SAN; it does not verify the issuer. */
function namesAddress(der: Buffer | null, address: string): boolean {
  return der !== null && new X509Certificate(der).checkIP(address.replace(/^::ffff:/, '')) !== undefined;
}
