import type { Clock } from '../../../plugin-api/index.ts';
import { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { PowerReport } from '../../wire/cloudstack/message/ping-routing-command.ts';
import type { AgentCommands } from './agent-commands.ts';
import {
  AgentLink,
  agentLinkStates,
  type AgentHost,
  type AgentLinkContext,
  type AgentLinkState,
  type AgentLinkStatus,
} from './agent-link.ts';
import { defaultAgentSettings, type AgentSettings } from './agent-settings.ts';

export interface AgentServiceOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly commands: AgentCommands;
  readonly powerReport: (machineId: string) => Promise<PowerReport | null>;
  readonly saveHostId: (machineId: string, hostId: bigint) => Promise<void>;
  readonly settings?: Partial<AgentSettings> | undefined;
  /** A number from 0 up to 1, for spreading waits; `Math.random` unless given. */
  readonly random?: (() => number) | undefined;
}

/** All links of the service to management servers: one per machine. */
export class AgentService {
  readonly #context: AgentLinkContext;
  readonly #links = new Map<string, AgentLink>();

  constructor(options: AgentServiceOptions) {
    const settings = { ...defaultAgentSettings, ...options.settings };
    this.#context = {
      settings,
      clock: options.clock,
      log: options.log,
      commands: options.commands,
      powerReport: options.powerReport,
      saveHostId: options.saveHostId,
      connecting: new Semaphore(settings.concurrentConnects),
      random: options.random ?? Math.random,
    };
  }

  /** Connects a machine. A machine that has a link gets a new one with the new facts; the old one leaves first. */
  async add(host: AgentHost): Promise<void> {
    const link = new AgentLink(host, this.#context);
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
    await link?.stop();
  }

  /** Disconnects all machines in order. */
  async stop(): Promise<void> {
    await Promise.all([...this.#links.keys()].map((machineId) => this.remove(machineId)));
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
