import { isDeepStrictEqual } from 'node:util';
import { milliseconds, type Duration } from '../../../plugin-api/index.ts';
import { startTimer } from '../../kernel/clock/start-timer.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { PowerReport } from '../../wire/cloudstack/message/ping-routing-command.ts';
import { AgentSession, type SessionContext, type SessionEnd, type SessionOwner } from './agent-session.ts';
import type { AgentHost } from './cloud-hosts.ts';
import type { ServerAddress, ServerList } from './server-list.ts';

/** What a link needs of the rest of the service. */
export interface AgentLinkContext extends SessionContext {
  readonly log: Log;
  /** Power of every instance of the machine, complete, or null when that cannot be said with certainty. */
  readonly powerReport: (machineId: string) => Promise<PowerReport | null>;
  /** Keeps the id that CloudStack gave the host. */
  readonly saveHostId: (machineId: string, hostId: bigint) => Promise<void>;
  /** Called when a server removed the host for good: its zone, pod and cluster are to be forgotten. */
  readonly forgetPlace: (machineId: string) => Promise<void>;
}

export const agentLinkStates = [
  /** Dialling. */
  'connecting',
  /** Startup is sent. */
  'starting',
  /** The server took the host. */
  'up',
  /** Until the next attempt. */
  'waiting',
  /** The server refused the host; tried again slowly. */
  'refused',
  /** The server removed the host; not tried again. */
  'dismissed',
  /** Stopped by us. */
  'stopped',
] as const;
export type AgentLinkState = (typeof agentLinkStates)[number];

export interface AgentLinkStatus {
  readonly machineId: string;
  readonly state: AgentLinkState;
  /** When the state began, in epoch milliseconds. */
  readonly since: number;
  /** `host:port` of the current or last server, or null before the first attempt. */
  readonly server: string | null;
  /** Decimal text, or null before the server gave one. */
  readonly hostId: string | null;
  /** Why the link is not up, or null. */
  readonly reason: string | null;
  /** When the server last answered a ping, in epoch milliseconds, or null. */
  readonly lastPingAnswer: number | null;
  /** Commands being carried out. */
  readonly running: number;
}

/** Keeps one machine connected to its CloudStack: connects, reconnects, and hands what comes to the commands. */
export class AgentLink {
  readonly #host: AgentHost;
  readonly #context: AgentLinkContext;
  readonly #servers: ServerList;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #session: AgentSession | null = null;
  #sequence = 0n;
  #hostId: bigint | null;
  #savedHostId: bigint | null;
  #report: Promise<PowerReport | null> | null = null;
  #state: AgentLinkState = 'connecting';
  #since: number;
  #server: ServerAddress | null = null;
  #reason: string | null = null;
  #lastPingAnswer: number | null = null;
  #commandsRunning = 0;
  /** Commands begun and ended so far. */
  #commandEvents = 0;

  /** `servers` outlives the link, so that what servers told is kept when the machine's facts change. */
  constructor(host: AgentHost, context: AgentLinkContext, servers: ServerList) {
    if (host.endpoint.servers.length === 0) {
      throw new ServiceError({ code: 'config.invalid', what: 'the cloud has no management server' });
    }
    this.#host = host;
    this.#context = context;
    this.#servers = servers;
    this.#log = context.log.child({ machineId: host.machineId });
    this.#hostId = host.hostId;
    this.#savedHostId = host.hostId;
    this.#since = context.clock.now();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Whether a link with these facts would be this one again: one that was refused may be worth another try. */
  isFor({ facts, endpoint }: AgentHost): boolean {
    if (['refused', 'dismissed', 'stopped'].includes(this.#state)) return false;
    const { facts: known, endpoint: at } = this.#host;
    const sameEndpoint =
      endpoint.credentials === at.credentials && isDeepStrictEqual(endpoint.servers, at.servers);
    return sameEndpoint && isDeepStrictEqual(facts, known);
  }

  /** Leaves in order: tells the server that the agent exits, closes, and waits until the connection is gone. Commands go on. */
  async stop(): Promise<void> {
    const { clock, settings } = this.#context;
    const left = new AbortController();
    await Promise.race([
      this.#session?.leave(),
      clock.sleep(settings.closeTimeout, left.signal).catch(() => undefined),
    ]);
    left.abort(new Error('left'));
    this.#stopping.abort(new Error('the agent stops'));
    await this.#running;
    this.#enter('stopped', null);
  }

  /** Tells the server the machine's power now; a link that is not up tells it when it is. */
  reportNow(): void {
    this.#session?.reportNow();
  }

  status(): AgentLinkStatus {
    return {
      machineId: this.#host.machineId,
      state: this.#state,
      since: this.#since,
      server: this.#server ? `${this.#server.host}:${this.#server.port}` : null,
      hostId: this.#hostId?.toString() ?? null,
      reason: this.#reason,
      lastPingAnswer: this.#lastPingAnswer,
      running: this.#commandsRunning,
    };
  }

  async #run(): Promise<void> {
    const { connecting, health } = this.#context;
    const signal = this.#stopping.signal;
    let failures = 0;
    let moved: Extract<SessionEnd, { kind: 'moved' }> | null = null;
    while (!signal.aborted) {
      // What the server refused stays shown until it takes the host.
      if (this.#state !== 'refused') this.#enter('connecting', this.#reason);
      const session: AgentSession = await connecting.run(async () => {
        // Only now: links that had their turn before may have found out which servers are away.
        this.#server =
          moved?.to ?? this.#servers.after(this.#server, failures, (server) => health.mayTry(server));
        const dialling = new AgentSession(this.#owner(), this.#server, moved?.transferred ?? false);
        await dialling.dial(signal);
        return dialling;
      });
      moved = null;
      this.#session = session;
      const end = await session.run();
      this.#session = null;
      failures = session.wasUp ? 0 : failures + 1;
      if (end.kind === 'stopped') return;
      if (end.kind === 'dismissed') return this.#dismissed(end.forget);
      if (end.kind === 'moved') {
        moved = end;
        continue;
      }
      await this.#pause(this.#waitAfter(end, failures), end.kind === 'lost');
    }
  }

  /** Waits about so long, and when a server is back (`wakes`) no longer than about the first wait. Ends with the link. */
  #pause(wait: Duration, wakes: boolean): Promise<void> {
    const { clock, health, settings } = this.#context;
    const { signal } = this.#stopping;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        forget();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const time = this.#spread(wait);
      let until = clock.monotonic() + time;
      let cancel = startTimer(clock, time, finish);
      const forget = health.onBack(() => {
        const shorter = this.#spread(settings.reconnectMin);
        if (!wakes || clock.monotonic() + shorter >= until) return;
        until = clock.monotonic() + shorter;
        cancel();
        cancel = startTimer(clock, shorter, finish);
      });
      signal.addEventListener('abort', finish, { once: true });
    });
  }

  /** Thousands of links must not come all at once. */
  #spread(wait: Duration): Duration {
    return milliseconds(wait * (0.5 + this.#context.random()));
  }

  async #dismissed(forget: boolean): Promise<void> {
    this.#log.warn('the management server removed the host; the link stays closed');
    this.#enter('dismissed', 'the management server removed the host');
    if (!forget) return;
    try {
      await this.#context.forgetPlace(this.#host.machineId);
    } catch (error) {
      this.#log.error(
        { err: error },
        "the machine's place could not be forgotten: it connects again at the next start",
      );
    }
  }

  /** Milliseconds until the next attempt, before they are spread. */
  #waitAfter(end: Extract<SessionEnd, { kind: 'lost' | 'refused' }>, failures: number): Duration {
    const { settings } = this.#context;
    if (end.kind === 'refused') {
      const where = `management server ${this.#server!.host}:${this.#server!.port}`;
      const error = new ServiceError({
        code: 'agent.refused',
        where,
        what: 'the host was refused',
        said: end.said,
      });
      this.#log.error({ code: error.code, reason: error.message }, 'the management server refused the host');
      this.#enter('refused', error.message);
      return settings.refusedRetry;
    }
    const level = end.error.retry === 'operator' ? 'error' : 'warn';
    this.#log[level]({ code: end.error.code, reason: end.error.message }, 'no link to the management server');
    if (this.#state !== 'refused') this.#enter('waiting', end.error.message);
    // A round through all servers counts as one failure, so that the second one is tried as soon as the first.
    const rounds = Math.floor(Math.max(failures - 1, 0) / this.#servers.all().length);
    return milliseconds(Math.min(settings.reconnectMin * 2 ** Math.min(rounds, 16), settings.reconnectMax));
  }

  #owner(): SessionOwner {
    return {
      host: this.#host,
      context: this.#context,
      log: this.#log,
      hostId: () => this.#hostId,
      learnHostId: (hostId) => this.#learnHostId(hostId),
      nextSequence: () => this.#sequence++,
      servers: this.#servers,
      idle: () => this.#commandsRunning === 0,
      report: () => this.#powerReport(),
      starting: () => {
        if (this.#state !== 'refused') this.#enter('starting', this.#reason);
      },
      up: () => this.#enter('up', null),
      pingAnswered: (took) => {
        this.#lastPingAnswer = this.#context.clock.now();
        this.#context.pings.answered(took);
      },
      commandBegan: () => {
        this.#commandsRunning += 1;
        this.#commandEvents += 1;
      },
      commandEnded: () => {
        this.#commandsRunning -= 1;
        this.#commandEvents += 1;
      },
    };
  }

  async #learnHostId(hostId: bigint): Promise<void> {
    this.#hostId = hostId;
    if (this.#savedHostId === hostId) return;
    try {
      await this.#context.saveHostId(this.#host.machineId, hostId);
      this.#savedHostId = hostId;
    } catch (error) {
      // The server tells it again at every connection.
      this.#log.error({ err: error, hostId: hostId.toString() }, 'the host id could not be saved');
    }
  }

  /**
   * Never rejects and never takes longer than `reportTimeout`; a slow report is asked for once, not again at every ping. What was read
   * too long ago, or around a command, is dropped: an old PowerOff makes the server stop the instance that was just started.
   */
  async #powerReport(): Promise<PowerReport | null> {
    const { settings, clock } = this.#context;
    this.#report ??= this.#readReport();
    const reading = this.#report;
    const enough = new AbortController();
    const late = clock.sleep(settings.reportTimeout, enough.signal).then(
      () => {
        this.#log.warn('the power report takes too long: pinging without one');
        return null;
      },
      () => null,
    );
    const report = await Promise.race([reading, late]);
    enough.abort(new Error('done'));
    return report;
  }

  async #readReport(): Promise<PowerReport | null> {
    const { settings, clock, powerReport } = this.#context;
    const began = clock.monotonic();
    const commands = this.#commandEvents;
    try {
      const report = await powerReport(this.#host.machineId);
      const fresh = clock.monotonic() - began <= settings.reportTimeout && commands === this.#commandEvents;
      return fresh ? report : null;
    } catch (error) {
      this.#log.warn({ err: error }, 'no power report: pinging without one');
      return null;
    } finally {
      this.#report = null;
    }
  }

  #enter(state: AgentLinkState, reason: string | null): void {
    const was = this.#state;
    this.#state = state;
    this.#reason = reason;
    if (state === was) return;
    this.#since = this.#context.clock.now();
    this.#log.info({ state, was }, 'link state');
  }
}
