import { isDeepStrictEqual } from 'node:util';
import { seconds, type Duration } from '../../../plugin-api/index.ts';
import type { ServerListTo } from '../../wire/cloudstack/message/server-list.ts';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * The management servers of one host, in the order in which they are tried: those that a server told, then the configured ones as a
 * fall-back that no server can take away, and last, when nothing else is left, those that a server said to avoid.
 */
export class ServerList {
  #configured: readonly ServerAddress[];
  #given: readonly string[] = [];
  #avoided: readonly string[] = [];
  #checkInterval: Duration | null = null;
  #checkedOnce = false;

  /** `configured`: at least one. */
  constructor(configured: readonly ServerAddress[]) {
    this.#configured = configured;
  }

  configure(servers: readonly ServerAddress[]): void {
    this.#configured = servers;
  }

  /** Takes what a server told; an empty list of hosts leaves the one before. */
  learn(list: ServerListTo): void {
    if (list.hosts.length > 0) this.#given = list.hosts;
    if (list.avoid !== null) this.#avoided = list.avoid;
    if (list.checkInterval === null) return;
    this.#checkInterval = list.checkInterval > 0 ? seconds(list.checkInterval) : null;
    // A shuffled order would move a host at every look for no gain (`IndirectAgentLBServiceImpl`).
    this.#checkedOnce = list.algorithm === 'shuffle';
  }

  avoid(hosts: readonly string[]): void {
    this.#avoided = hosts;
  }

  /** Time between two looks at the preferred server, or null for none. */
  get checkInterval(): Duration | null {
    return this.#checkInterval;
  }

  /** Whether one look at the preferred server is enough. */
  get checkedOnce(): boolean {
    return this.#checkedOnce;
  }

  /** All servers, in the order of trying; at least one. */
  all(): readonly ServerAddress[] {
    const all = [...this.#given.flatMap((host) => this.#addresses(host)), ...this.#configured];
    const once = all.filter(
      (server, at) => all.findIndex((other) => isDeepStrictEqual(other, server)) === at,
    );
    return [
      ...once.filter((server) => !this.#isAvoided(server)),
      ...once.filter((server) => this.#isAvoided(server)),
    ];
  }

  /**
   * The server to try after `current` (null: none yet), round robin; those to avoid only after `failures` at all the others. One that
   * may not be tried (`mayTry`) is passed over where there is another.
   */
  after(
    current: ServerAddress | null,
    failures: number,
    mayTry: (server: ServerAddress) => boolean = () => true,
  ): ServerAddress {
    const all = this.all();
    const good = all.filter((server) => !this.#isAvoided(server));
    const round = failures < good.length ? good : all;
    const at = round.findIndex((server) => isDeepStrictEqual(server, current));
    const turns = round.map((_, i) => round[(at + 1 + i) % round.length]!);
    return turns.find(mayTry) ?? turns[0]!;
  }

  /** The server where the servers themselves want this host, or null when they did not say. */
  preferred(): ServerAddress | null {
    return this.#wanted()[0] ?? null;
  }

  /** Where to go when `current` sends this host away, or null when the servers named no other. */
  other(current: ServerAddress): ServerAddress | null {
    return this.#wanted().find((server) => !isDeepStrictEqual(server, current)) ?? null;
  }

  #isAvoided({ host }: ServerAddress): boolean {
    return this.#avoided.includes(host);
  }

  #wanted(): readonly ServerAddress[] {
    return this.#given
      .filter((host) => !this.#avoided.includes(host))
      .flatMap((host) => this.#addresses(host));
  }

  /** Servers tell hosts without ports: the port is that of the same host here, else that of the first server. */
  #addresses(host: string): readonly ServerAddress[] {
    const same = this.#configured.filter((server) => server.host === host);
    return same.length > 0 ? same : [{ host, port: this.#configured[0]!.port }];
  }
}
