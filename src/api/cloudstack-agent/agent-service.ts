import type { Clock } from '../../../plugin-api/index.ts';
import { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { PowerReport } from '../../wire/cloudstack/message/ping-routing-command.ts';
import type { AgentCommands } from './agent-commands.ts';
import {
  AgentLink,
  agentLinkStates,
  type AgentLinkContext,
  type AgentLinkState,
  type AgentLinkStatus,
} from './agent-link.ts';
import type { PingObserver } from './agent-session.ts';
import { defaultAgentSettings, type AgentSettings } from './agent-settings.ts';
import type { AgentHost } from './cloud-hosts.ts';
import { ServerHealth } from './server-health.ts';
import { ServerList } from './server-list.ts';

export interface AgentServiceOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly commands: AgentCommands;
  readonly powerReport: (machineId: string) => Promise<PowerReport | null>;
  readonly saveHostId: (machineId: string, hostId: bigint) => Promise<void>;
  /** Called when a server removed the host for good: its zone, pod and cluster are to be forgotten. */
  readonly forgetPlace: (machineId: string) => Promise<void>;
  readonly settings?: Partial<AgentSettings> | undefined;
  /** Hears of pings, for metrics. */
  readonly pings?: PingObserver | undefined;
  /** A number from 0 up to 1, for spreading waits; `Math.random` unless given. */
  readonly random?: (() => number) | undefined;
}

/** All links of the service to management servers: one per machine. */
export class AgentService {
  readonly #context: AgentLinkContext;
  readonly #links = new Map<string, AgentLink>();
  /** What servers told of each host's servers; not kept beyond the process: the next ReadyCommand tells it again. */
  readonly #servers = new Map<string, ServerList>();
  #stopped = false;

  constructor(options: AgentServiceOptions) {
    const settings = { ...defaultAgentSettings, ...options.settings };
    this.#context = {
      settings,
      clock: options.clock,
      log: options.log,
      commands: options.commands,
      powerReport: options.powerReport,
      saveHostId: options.saveHostId,
      forgetPlace: options.forgetPlace,
      connecting: new Semaphore(settings.concurrentConnects),
      health: new ServerHealth(options.clock, settings.awayFor),
      pings: options.pings ?? { sent: () => undefined, answered: () => undefined },
      random: options.random ?? Math.random,
    };
  }

  /**
   * Connects a machine. One that has a link gets a new one where its facts changed; the old one leaves first, and takes the
   * answers with it that the server waits for.
   */
  async add(host: AgentHost): Promise<void> {
    // What was known of the machine was read before the stop, and comes after it.
    if (this.#stopped || this.#links.get(host.machineId)?.isFor(host)) return;
    const servers = this.#servers.get(host.machineId) ?? new ServerList(host.endpoint.servers);
    servers.configure(host.endpoint.servers);
    this.#servers.set(host.machineId, servers);
    const link = new AgentLink(host, this.#context, servers);
    const old = this.#links.get(host.machineId);
    this.#links.set(host.machineId, link);
    await old?.stop();
    // Another call may have replaced or removed it meanwhile.
    if (this.#links.get(host.machineId) === link) link.start();
  }

  /** Disconnects a machine in order; one without a link is left alone. */
  async remove(machineId: string): Promise<void> {
    const link = this.#links.get(machineId);
    this.#links.delete(machineId);
    this.#servers.delete(machineId);
    await link?.stop();
  }

  /** Disconnects all machines in order, for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#links.keys()].map((machineId) => this.remove(machineId)));
  }

  /** The machine's power changed without a command: its server hears of it now, not with the next ping. */
  reportNow(machineId: string): void {
    this.#links.get(machineId)?.reportNow();
  }

  status(machineId: string): AgentLinkStatus | null {
    return this.#links.get(machineId)?.status() ?? null;
  }

  /** The links' states, in the order in which the machines were added. */
  statuses(): AgentLinkStatus[] {
    return [...this.#links.values()].map((link) => link.status());
  }

  /** How many links are in each state, also those that none is in: for metrics. */
  counts(): Record<AgentLinkState, number> {
    const counts = Object.fromEntries(agentLinkStates.map((state) => [state, 0])) as Record<
      AgentLinkState,
      number
    >;
    for (const { state } of this.statuses()) counts[state] += 1;
    return counts;
  }
}
