import { CodedError, milliseconds, seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { orAborted } from '../../kernel/concurrency/or-aborted.ts';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import type { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import {
  composeBody,
  countEntries,
  parseBody,
  type BodyEntry,
  type ParsedEntry,
} from '../../wire/cloudstack/body.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../wire/cloudstack/frame.ts';
import type { FramedTlsLink, LinkEvents } from '../../wire/cloudstack/framed-tls-link.ts';
import { flagField } from '../../wire/cloudstack/gson-reader.ts';
import { decodeHeader, flag, responseHeader, type FrameHeader } from '../../wire/cloudstack/header.ts';
import { answerClass, answerEntry, stoppedAnswer } from '../../wire/cloudstack/message/answer.ts';
import { pingRoutingCommand, type PowerReport } from '../../wire/cloudstack/message/ping-routing-command.ts';
import { readReadyCommand, readyCommandClass } from '../../wire/cloudstack/message/ready-command.ts';
import { readAvoidList } from '../../wire/cloudstack/message/server-list.ts';
import { shutdownCommand } from '../../wire/cloudstack/message/shutdown-command.ts';
import { readStartupAnswer } from '../../wire/cloudstack/message/startup-answer.ts';
import { startupRoutingCommand } from '../../wire/cloudstack/message/startup-routing-command.ts';
import type { AgentCommands } from './agent-commands.ts';
import type { AgentSettings } from './agent-settings.ts';
import type { AgentHost } from './cloud-hosts.ts';
import { executeCommand, type CommandAnswer } from './command-table.ts';
import { dialServer, expiredIdentity, ServerAwayError, type DialledServer } from './dial-server.ts';
import { executeLinkCommand, isLinkCommand, type LinkControl } from './link-commands.ts';
import type { ServerHealth } from './server-health.ts';
import type { ServerAddress, ServerList } from './server-list.ts';

/** Why a connection ended. */
export type SessionEnd =
  | { readonly kind: 'lost'; readonly error: CodedError }
  | { readonly kind: 'refused'; readonly said: string }
  /** To another server, at once; `transferred` when the servers said so. */
  | { readonly kind: 'moved'; readonly to: ServerAddress; readonly transferred: boolean }
  | { readonly kind: 'dismissed'; readonly forget: boolean }
  | { readonly kind: 'stopped' };

/** Hears of the pings of all links. */
export interface PingObserver {
  sent(): void;
  /** `took`: from sending the ping to its answer. */
  answered(took: Duration): void;
}

/** What a connection needs of the rest of the service. */
export interface SessionContext {
  readonly settings: AgentSettings;
  readonly clock: Clock;
  readonly commands: AgentCommands;
  /** Shared by all links: see `concurrentConnects`. */
  readonly connecting: Semaphore;
  readonly health: ServerHealth;
  readonly pings: PingObserver;
  /** A number from 0 up to 1, for spreading waits. */
  readonly random: () => number;
}

/** What a connection tells and asks the link that it belongs to; all of it outlives the connection. */
export interface SessionOwner {
  readonly host: AgentHost;
  readonly context: SessionContext;
  readonly log: Log;
  /** The id by which the server knows the host, or null before it was ever told. */
  hostId(): bigint | null;
  learnHostId(hostId: bigint): Promise<void>;
  nextSequence(): bigint;
  readonly servers: ServerList;
  /** Whether no command is being carried out for this host. */
  idle(): boolean;
  /** The power report for the next ping: complete or null, within `reportTimeout`. */
  report(): Promise<PowerReport | null>;
  starting(): void;
  up(): void;
  pingAnswered(took: Duration): void;
  commandBegan(): void;
  commandEnded(): void;
}

/** Ping interval of a server that does not say (`ping.interval`). */
const usualPingInterval = seconds(60);

/** One connection to one management server, from dial to close. */
export class AgentSession {
  readonly #owner: SessionOwner;
  readonly #server: ServerAddress;
  readonly #log: Log;
  readonly #over = new Deferred<SessionEnd>();
  /** Aborted when the connection is over: ends every wait that belongs to it. */
  readonly #alive = new AbortController();
  readonly #closed = new Deferred<undefined>();
  readonly #startupAnswered = new Deferred<undefined>();
  readonly #ready = new Deferred<undefined>();
  readonly #startupSequences = new Set<bigint>();
  /** When they were sent, by sequence; monotonic. */
  readonly #unansweredPings = new Map<bigint, number>();
  readonly #transferred: boolean;
  #link: FramedTlsLink | null = null;
  #dialled: DialledServer | null = null;
  /** Ends the looking at the preferred server that was begun last. */
  #balancing = new AbortController();
  /** Ends the pause before the next ping. */
  #news = new AbortController();
  #wasUp = false;
  #pingInterval: Duration = usualPingInterval;

  /** `transferred`: a server sent us here. */
  constructor(owner: SessionOwner, server: ServerAddress, transferred = false) {
    this.#owner = owner;
    this.#server = server;
    this.#transferred = transferred;
    this.#log = owner.log.child({ server: `${server.host}:${server.port}` });
  }

  /** Whether the server took the host on this connection. */
  get wasUp(): boolean {
    return this.#wasUp;
  }

  /** Connects and verifies the server; how it went shows in {@link run}. The connection ends with `signal`. Never rejects. */
  async dial(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#finish({ kind: 'stopped' });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    void this.#over.promise.then(() => signal.removeEventListener('abort', onAbort));
    try {
      this.#dialled = await this.#reach(this.#server, this.#owner.context.settings, this.#events());
      this.#link = this.#dialled.link;
      if (this.#link.closed) throw this.#whyClosed(null);
    } catch (error) {
      this.#lose(error);
    }
  }

  /** After {@link dial}: lives until the connection is over; never rejects. */
  async run(): Promise<SessionEnd> {
    if (this.#link && !this.#alive.signal.aborted)
      this.#supervise().catch((error: unknown) => this.#lose(error));
    const end = await this.#over.promise;
    if (this.#link) await this.#close(this.#link, end);
    return end;
  }

  /** Dials, and lets all other links know when that failed. */
  async #reach(
    server: ServerAddress,
    limits: Pick<AgentSettings, 'connectTimeout' | 'handshakeTimeout'>,
    events: LinkEvents,
    signal = this.#alive.signal,
  ): Promise<DialledServer> {
    const { clock, health } = this.#owner.context;
    try {
      return await dialServer(server, this.#owner.host.endpoint.credentials, limits, clock, events, signal);
    } catch (error) {
      const ours = signal.aborted || (error instanceof CodedError && error.code === 'agent.identity');
      if (!ours) health.failed(server, error instanceof ServerAwayError);
      throw error;
    }
  }

  /** Tells the server that the agent exits. */
  async leave(): Promise<void> {
    if (!this.#wasUp) return;
    // Like the stock agent's: sequence -1, and no answer comes.
    await this.#send(this.#requestHeader(flag.STOP_ON_ERROR | flag.IN_SEQUENCE, -1n), [shutdownCommand()]);
  }

  #events(): LinkEvents {
    return {
      message: (bytes) => this.#receive(bytes),
      closed: (error) => {
        this.#closed.resolve(undefined);
        // While it is being dialled, the dialler knows better why.
        if (this.#link) this.#lose(this.#whyClosed(error));
      },
    };
  }

  async #supervise(): Promise<void> {
    const { settings, random } = this.#owner.context;
    this.#owner.starting();
    this.#sendStartup();
    await this.#within(settings.startupTimeout, this.#startupAnswered, 'no StartupAnswer');
    await this.#within(settings.readyTimeout, this.#ready, 'no ReadyCommand');
    // The first ping comes at any point of the interval, so that thousands of links do not ping in step.
    let wait: number = this.#pingInterval * random();
    for (;;) {
      const outOfBand = await this.#newsWithin(milliseconds(wait));
      await this.#ping(outOfBand);
      wait = this.#pingInterval;
    }
  }

  /** The next ping goes now: the power changed behind the server's back. */
  reportNow(): void {
    this.#news.abort();
  }

  /** Waits so long for the next ping; true when there are news before. Ends with the connection. */
  async #newsWithin(wait: Duration): Promise<boolean> {
    const { clock } = this.#owner.context;
    const news = (this.#news = new AbortController());
    const onEnd = (): void => news.abort();
    const { signal } = this.#alive;
    signal.throwIfAborted();
    signal.addEventListener('abort', onEnd, { once: true });
    try {
      await clock.sleep(wait, news.signal);
      return false;
    } catch {
      signal.throwIfAborted();
      return true;
    } finally {
      signal.removeEventListener('abort', onEnd);
    }
  }

  #within(time: Duration, awaited: Deferred<undefined>, what: string): Promise<void> {
    return withDeadline(
      this.#owner.context.clock,
      time,
      () => this.#unreachable(`${what} in time`),
      (signal) => orAborted(awaited.promise, signal),
      this.#alive.signal,
    );
  }

  async #ping(outOfBand: boolean): Promise<void> {
    const { settings, clock, pings } = this.#owner.context;
    if (this.#unansweredPings.size >= settings.unansweredPings) {
      throw this.#unreachable(`${this.#unansweredPings.size} pings in a row got no answer`);
    }
    const hostId = this.#owner.hostId();
    const report = await this.#owner.report();
    if (hostId === null || this.#alive.signal.aborted) return;
    const header = this.#requestHeader(flag.STOP_ON_ERROR, this.#owner.nextSequence());
    this.#unansweredPings.set(header.sequence, clock.monotonic());
    pings.sent();
    const hostName = this.#owner.host.facts.name;
    // Not waited for: a peer that does not read must not stop the count of its silence.
    void this.#send(header, [pingRoutingCommand({ hostId, hostName, report, outOfBand })]);
  }

  #sendStartup(): void {
    const header = this.#requestHeader(0, this.#owner.nextSequence());
    this.#startupSequences.add(header.sequence);
    const { facts } = this.#owner.host;
    void this.#send(header, [startupRoutingCommand(facts, this.#owner.hostId(), this.#transferred)]);
  }

  #receive(bytes: Buffer): void {
    // Nothing is heard before the server's certificate was verified, or after the end.
    if (!this.#link || this.#alive.signal.aborted) return;
    let frame: Frame | null = null;
    let entries: ParsedEntry[];
    try {
      frame = decodeFrame(bytes);
      entries = parseBody(frame.text);
    } catch (error) {
      this.#refuseFrame(bytes, frame, asCodedError(error));
      return;
    }
    const { flags, sequence } = frame.header;
    if ((flags & flag.CONTROL) !== 0) {
      this.#log.warn({ sequence: sequence.toString() }, 'frame between management servers ignored');
    } else if ((flags & flag.REQUEST) !== 0) {
      this.#serve(frame.header, entries).catch((error: unknown) => this.#lose(error));
    } else {
      for (const entry of entries) this.#hear(sequence, entry);
    }
  }

  /**
   * What cannot be read cannot be carried out; but whoever sent it as a request waits for it, and so does everything behind it in the
   * server's queue. As many answers as there were commands, as far as that can be told.
   */
  #refuseFrame(bytes: Buffer, frame: Frame | null, error: CodedError): void {
    const header = frame?.header ?? readableHeader(bytes);
    const reason = error.message;
    if (!header || (header.flags & flag.REQUEST) === 0 || (header.flags & flag.CONTROL) !== 0) {
      this.#log.warn({ bytes: bytes.length, reason }, 'malformed frame ignored');
      return;
    }
    this.#log.warn(
      { bytes: bytes.length, sequence: header.sequence.toString(), reason },
      'malformed request refused',
    );
    const refusal = answerEntry(answerClass.Answer, { result: false, details: reason });
    const commands = frame ? entriesOf(frame.text) : 1;
    void this.#send(responseHeader(header), new Array<BodyEntry>(commands).fill(refusal));
  }

  /** An answer to one of our own requests. */
  #hear(sequence: bigint, entry: ParsedEntry): void {
    if (entry.className === answerClass.StartupAnswer && this.#startupSequences.has(sequence)) {
      const answer = readStartupAnswer(entry);
      if (!answer.result) {
        this.#finish({ kind: 'refused', said: answer.details ?? 'StartupAnswer without a reason' });
        return;
      }
      const { settings } = this.#owner.context;
      this.#pingInterval =
        settings.pingInterval ?? (answer.pingInterval > 0 ? seconds(answer.pingInterval) : usualPingInterval);
      // The first answer says 0; after a repeated Startup a second one with the same sequence has the id.
      if (answer.hostId > 0n) void this.#owner.learnHostId(answer.hostId);
      this.#startupAnswered.resolve(undefined);
    } else if (entry.className === answerClass.PingAnswer && this.#unansweredPings.has(sequence)) {
      const sentAt = this.#unansweredPings.get(sequence)!;
      this.#unansweredPings.clear();
      this.#owner.pingAnswered(milliseconds(this.#owner.context.clock.monotonic() - sentAt));
      const avoid = readAvoidList(entry);
      if (avoid) this.#owner.servers.avoid(avoid);
      if (flagField(entry.fields, 'sendStartup')) this.#sendStartup();
    } else {
      this.#log.info({ sequence: sequence.toString(), answer: entry.className }, 'answer to nothing ignored');
    }
  }

  /** Carries out the commands of one frame in order and sends as many answers, on this connection. */
  async #serve(header: FrameHeader, entries: readonly ParsedEntry[]): Promise<void> {
    const refusal = entries
      .filter((entry) => entry.className === readyCommandClass)
      .map((entry) => readReadyCommand(entry).refusal)
      .find((said) => said !== null);
    if (refusal !== undefined) {
      // The server expects no answer, and leaves the connection open.
      this.#finish({ kind: 'refused', said: refusal });
      return;
    }
    const answers: BodyEntry[] = [];
    const afterwards: (() => void)[] = [];
    let stopped = false;
    for (const entry of entries) {
      if (stopped) {
        answers.push(stoppedAnswer());
        continue;
      }
      const answer = await this.#execute(header, entry);
      answers.push(answer.entry);
      if (answer.afterwards) afterwards.push(answer.afterwards);
      stopped = !answer.ok && (header.flags & flag.STOP_ON_ERROR) !== 0;
    }
    await this.#send(responseHeader(header), answers);
    for (const step of afterwards) step();
  }

  async #execute(
    header: FrameHeader,
    entry: ParsedEntry,
  ): Promise<CommandAnswer & { readonly afterwards?: (() => void) | undefined }> {
    const log = this.#log.child({ sequence: header.sequence.toString() });
    log.debug({ command: entry.className }, 'command');
    if (isLinkCommand(entry.className)) return executeLinkCommand(entry, this.#control(), log);
    this.#owner.commandBegan();
    try {
      const command = { ...entry, sequence: header.sequence.toString() };
      return await executeCommand(this.#owner.host.machineId, command, this.#owner.context.commands, log);
    } finally {
      this.#owner.commandEnded();
    }
  }

  #control(): LinkControl {
    const { host, servers } = this.#owner;
    const address = this.#dialled?.localAddress;
    return {
      server: this.#server,
      servers,
      credentials: host.endpoint.credentials,
      addresses: address ? [address] : [],
      ready: (hostId) => this.#becomeReady(hostId),
      balance: (now) => {
        this.#balance(now).catch((error: unknown) => this.#log.error({ err: error }, 'balancing ended'));
      },
      moveSoon: (to) => this.#moveSoon(to),
      dismiss: (forget) => this.#finish({ kind: 'dismissed', forget }),
    };
  }

  async #becomeReady(hostId: bigint | null): Promise<void> {
    if (hostId !== null && hostId > 0n) await this.#owner.learnHostId(hostId);
    if (this.#alive.signal.aborted) return;
    this.#wasUp = true;
    this.#owner.up();
    this.#owner.context.health.up(this.#server);
    this.#startupAnswered.resolve(undefined);
    this.#ready.resolve(undefined);
  }

  /** The server sends us away: in a moment, so that our answer reaches it. Commands that run go on; a repetition gets their answer. */
  #moveSoon(to: ServerAddress): void {
    const { settings, clock } = this.#owner.context;
    clock.sleep(settings.moveDelay, this.#alive.signal).then(
      () => this.#finish({ kind: 'moved', to, transferred: true }),
      // The connection was over before.
      () => undefined,
    );
  }

  /** Goes to the preferred server once it can be reached and no command is being carried out. */
  async #balance(now: boolean): Promise<void> {
    const { servers, context } = this.#owner;
    this.#balancing.abort(new Error('looked at anew'));
    if (this.#alive.signal.aborted) return;
    const turn = new AbortController();
    this.#balancing = turn;
    const end = (): void => turn.abort(new Error('the connection is over'));
    this.#alive.signal.addEventListener('abort', end, { once: true });
    try {
      if (now) await this.#lookAtPreferred(turn.signal);
      const interval = servers.checkInterval && (context.settings.balanceInterval ?? servers.checkInterval);
      while (interval && !turn.signal.aborted) {
        await context.clock.sleep(interval, turn.signal).catch(() => undefined);
        await this.#lookAtPreferred(turn.signal);
        if (servers.checkedOnce) return;
      }
    } finally {
      this.#alive.signal.removeEventListener('abort', end);
    }
  }

  async #lookAtPreferred(signal: AbortSignal): Promise<void> {
    const { servers, context } = this.#owner;
    const to = servers.preferred();
    if (!to || signal.aborted || this.#isAt(to) || !this.#owner.idle()) return;
    const { settings, connecting, health } = context;
    const limits = { connectTimeout: settings.probeTimeout, handshakeTimeout: settings.handshakeTimeout };
    const nothing = { message: () => undefined, closed: () => undefined };
    try {
      // The whole handshake: a server in maintenance takes the TCP connection and then drops it.
      const dialled = await connecting.run(async () =>
        health.mayTry(to) ? this.#reach(to, limits, nothing, signal) : null,
      );
      if (!dialled) return;
      dialled.link.destroy();
      signal.throwIfAborted();
    } catch (error) {
      const reason = (error as Error).message;
      this.#log.debug({ reason }, 'the preferred server cannot be reached');
      return;
    }
    // Commands may have come meanwhile.
    if (!this.#owner.idle()) return;
    this.#log.info({ to: `${to.host}:${to.port}` }, 'moving to the preferred server');
    this.#finish({ kind: 'moved', to, transferred: false });
  }

  /** A server may be known by name here and by address there. */
  #isAt({ host, port }: ServerAddress): boolean {
    return (
      port === this.#server.port && (host === this.#server.host || host === this.#dialled?.remoteAddress)
    );
  }

  /** Sends, or drops with a line in the log when the connection is over; never rejects. */
  async #send(header: FrameHeader, entries: readonly BodyEntry[]): Promise<void> {
    const classes = entries.map((entry) => entry.className).join();
    const link = this.#link;
    if (!link || this.#alive.signal.aborted) {
      this.#log.warn({ sequence: header.sequence.toString(), classes }, 'answer dropped: its link is gone');
      return;
    }
    try {
      await link.send(encodeFrame(header, composeBody(entries)));
    } catch (error) {
      this.#log.warn(
        { sequence: header.sequence.toString(), classes, reason: (error as Error).message },
        'frame not sent',
      );
    }
  }

  #requestHeader(flags: number, sequence: bigint): FrameHeader {
    const agentId = this.#owner.hostId() ?? -1n;
    return {
      version: 0,
      reserved: 0,
      flags: flag.REQUEST | flags,
      sequence,
      length: 0,
      mgmtId: -1n,
      agentId,
      via: agentId,
    };
  }

  #finish(end: SessionEnd): void {
    this.#over.resolve(end);
    this.#alive.abort(new Error('the connection is over'));
  }

  #lose(thrown: unknown): void {
    this.#finish({ kind: 'lost', error: asCodedError(thrown) });
  }

  async #close(link: FramedTlsLink, end: SessionEnd): Promise<void> {
    if (link.closed) return;
    if (end.kind !== 'lost') {
      const { settings, clock } = this.#owner.context;
      const waiting = new AbortController();
      await Promise.race([
        link.end().then(() => this.#closed.promise),
        clock.sleep(settings.closeTimeout, waiting.signal).catch(() => undefined),
      ]);
      waiting.abort(new Error('closed'));
    }
    link.destroy();
  }

  #whyClosed(error: Error | null): CodedError {
    const expired = this.#wasUp
      ? null
      : expiredIdentity(this.#dialled?.identity ?? null, this.#where, this.#owner.context.clock);
    if (expired) return expired;
    if (!error) return this.#unreachable('the management server closed the connection');
    // What the socket or the TLS layer says is a lost link, not a fault of ours.
    return error instanceof CodedError ? error : this.#unreachable('the connection broke', error.message);
  }

  get #where(): string {
    return `management server ${this.#server.host}:${this.#server.port}`;
  }

  #unreachable(what: string, said?: string): ServiceError {
    return new ServiceError({
      code: 'agent.unreachable',
      where: this.#where,
      what,
      said,
    });
  }
}

/** The header of a frame whose body cannot be read; null when it cannot be read either. */
function readableHeader(bytes: Buffer): FrameHeader | null {
  try {
    return decodeHeader(bytes);
  } catch {
    return null;
  }
}

/** How many commands a body holds that cannot be read as a whole; at least one was meant. */
function entriesOf(text: string): number {
  try {
    return Math.max(1, countEntries(text));
  } catch {
    return 1;
  }
}
