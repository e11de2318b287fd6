import { CodedError, milliseconds, seconds, type Duration } from '../../../plugin-api/index.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import { composeBody, parseBody, type BodyEntry, type ParsedEntry } from '../../wire/cloudstack/body.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../wire/cloudstack/frame.ts';
import type { FramedTlsLink } from '../../wire/cloudstack/framed-tls-link.ts';
import { flagField } from '../../wire/cloudstack/gson-reader.ts';
import { flag, responseHeader, type FrameHeader } from '../../wire/cloudstack/header.ts';
import { answerClass, answerEntry, stoppedAnswer } from '../../wire/cloudstack/message/answer.ts';
import { pingRoutingCommand, type PowerReport } from '../../wire/cloudstack/message/ping-routing-command.ts';
import { readReadyCommand, readyCommandClass } from '../../wire/cloudstack/message/ready-command.ts';
import { shutdownCommand, shutdownCommandClass } from '../../wire/cloudstack/message/shutdown-command.ts';
import { readStartupAnswer } from '../../wire/cloudstack/message/startup-answer.ts';
import { startupRoutingCommand } from '../../wire/cloudstack/message/startup-routing-command.ts';
import type { AgentHost, AgentLinkContext } from './agent-link.ts';
import type { ServerAddress } from './agent-settings.ts';
import { executeCommand, type CommandAnswer } from './command-table.ts';
import { dialServer } from './dial-server.ts';

/** Why a connection ended. */
export type SessionEnd =
  | { readonly kind: 'lost'; readonly error: CodedError }
  | { readonly kind: 'refused'; readonly said: string }
  | { readonly kind: 'dismissed' }
  | { readonly kind: 'stopped' };

/** What a connection tells and asks the link that it belongs to; all of it outlives the connection. */
export interface SessionOwner {
  readonly host: AgentHost;
  readonly context: AgentLinkContext;
  readonly log: Log;
  /** The id by which the server knows the host, or null before it was ever told. */
  hostId(): bigint | null;
  learnHostId(hostId: bigint): Promise<void>;
  nextSequence(): bigint;
  /** The power report for the next ping: complete or null, within `reportTimeout`. */
  report(): Promise<PowerReport | null>;
  starting(): void;
  up(): void;
  pingAnswered(): void;
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
  readonly #unansweredPings = new Set<bigint>();
  #link: FramedTlsLink | null = null;
  #wasUp = false;
  #pingInterval: Duration = usualPingInterval;

  constructor(owner: SessionOwner, server: ServerAddress) {
    this.#owner = owner;
    this.#server = server;
    this.#log = owner.log.child({ server: `${server.host}:${server.port}` });
  }

  /** Whether the server took the host on this connection. */
  get wasUp(): boolean {
    return this.#wasUp;
  }

  /** Lives until the connection is over; never rejects. */
  async run(signal: AbortSignal): Promise<SessionEnd> {
    const { settings, clock, connecting } = this.#owner.context;
    const onAbort = (): void => this.#finish({ kind: 'stopped' });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      const link = await connecting.run(() =>
        dialServer(
          this.#server,
          this.#owner.host.endpoint,
          settings,
          clock,
          this.#events(),
          this.#alive.signal,
        ),
      );
      this.#link = link;
      if (link.closed) throw this.#whyClosed(null);
      this.#supervise().catch((error: unknown) => this.#lose(error));
    } catch (error) {
      this.#lose(error);
    }
    const end = await this.#over.promise;
    signal.removeEventListener('abort', onAbort);
    if (this.#link) await this.#close(this.#link, end);
    return end;
  }

  /** Tells the server that the agent exits. */
  async leave(): Promise<void> {
    if (!this.#wasUp) return;
    // Like the stock agent's: sequence -1, and no answer comes.
    await this.#send(this.#requestHeader(flag.STOP_ON_ERROR | flag.IN_SEQUENCE, -1n), [shutdownCommand()]);
  }

  #events(): { message(bytes: Buffer): void; closed(error: Error | null): void } {
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
    const { settings, clock, random } = this.#owner.context;
    this.#owner.starting();
    this.#sendStartup();
    await this.#within(settings.startupTimeout, this.#startupAnswered, 'no StartupAnswer');
    await this.#within(settings.readyTimeout, this.#ready, 'no ReadyCommand');
    // The first ping comes at any point of the interval, so that thousands of links do not ping in step.
    let wait: number = this.#pingInterval * random();
    for (;;) {
      await clock.sleep(milliseconds(wait), this.#alive.signal);
      await this.#ping();
      wait = this.#pingInterval;
    }
  }

  #within(time: Duration, awaited: Deferred<undefined>, what: string): Promise<void> {
    return withDeadline(
      this.#owner.context.clock,
      time,
      () => this.#unreachable(`${what} in time`),
      (signal) =>
        new Promise<void>((resolve, reject) => {
          awaited.promise.then(resolve, reject);
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        }),
      this.#alive.signal,
    );
  }

  async #ping(): Promise<void> {
    const { settings } = this.#owner.context;
    if (this.#unansweredPings.size >= settings.unansweredPings) {
      throw this.#unreachable(`${this.#unansweredPings.size} pings in a row got no answer`);
    }
    const hostId = this.#owner.hostId();
    const report = await this.#owner.report();
    if (hostId === null || this.#alive.signal.aborted) return;
    const header = this.#requestHeader(flag.STOP_ON_ERROR, this.#owner.nextSequence());
    this.#unansweredPings.add(header.sequence);
    const hostName = this.#owner.host.facts.name;
    // Not waited for: a peer that does not read must not stop the count of its silence.
    void this.#send(header, [pingRoutingCommand({ hostId, hostName, report })]);
  }

  #sendStartup(): void {
    const header = this.#requestHeader(0, this.#owner.nextSequence());
    this.#startupSequences.add(header.sequence);
    void this.#send(header, [startupRoutingCommand(this.#owner.host.facts, this.#owner.hostId())]);
  }

  #receive(bytes: Buffer): void {
    // Nothing is heard before the server's certificate was verified, or after the end.
    if (!this.#link || this.#alive.signal.aborted) return;
    let frame: Frame;
    let entries: ParsedEntry[];
    try {
      frame = decodeFrame(bytes);
      entries = parseBody(frame.text);
    } catch (error) {
      this.#log.warn({ bytes: bytes.length, reason: (error as Error).message }, 'malformed frame ignored');
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
      this.#unansweredPings.clear();
      this.#owner.pingAnswered();
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
    let stopped = false;
    for (const entry of entries) {
      if (stopped) {
        answers.push(stoppedAnswer());
        continue;
      }
      const answer = await this.#execute(header, entry);
      answers.push(answer.entry);
      stopped = !answer.ok && (header.flags & flag.STOP_ON_ERROR) !== 0;
    }
    await this.#send(responseHeader(header), answers);
    if (entries.some((entry) => entry.className === shutdownCommandClass))
      this.#finish({ kind: 'dismissed' });
  }

  async #execute(header: FrameHeader, entry: ParsedEntry): Promise<CommandAnswer> {
    const log = this.#log.child({ sequence: header.sequence.toString() });
    log.debug({ command: entry.className }, 'command');
    if (entry.className === readyCommandClass) return this.#becomeReady(entry);
    if (entry.className === shutdownCommandClass) {
      return { entry: answerEntry(answerClass.Answer, { result: true }), ok: true };
    }
    this.#owner.commandBegan();
    try {
      return await executeCommand(this.#owner.host.machineId, entry, this.#owner.context.commands, log);
    } finally {
      this.#owner.commandEnded();
    }
  }

  /** Comes twice on every connection: the second time with the server list, which a host with servers of its own does not need. */
  async #becomeReady(entry: ParsedEntry): Promise<CommandAnswer> {
    const { hostId } = readReadyCommand(entry);
    if (hostId !== null && hostId > 0n) await this.#owner.learnHostId(hostId);
    if (!this.#alive.signal.aborted) {
      this.#wasUp = true;
      this.#owner.up();
      this.#startupAnswered.resolve(undefined);
      this.#ready.resolve(undefined);
    }
    return { entry: answerEntry(answerClass.ReadyAnswer, { result: true }), ok: true };
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
    if (!error) return this.#unreachable('the management server closed the connection');
    // What the socket or the TLS layer says is a lost link, not a fault of ours.
    return error instanceof CodedError ? error : this.#unreachable('the connection broke', error.message);
  }

  #unreachable(what: string, said?: string): ServiceError {
    return new ServiceError({
      code: 'agent.unreachable',
      where: `management server ${this.#server.host}:${this.#server.port}`,
      what,
      said,
    });
  }
}
