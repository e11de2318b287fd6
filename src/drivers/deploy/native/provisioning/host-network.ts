import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';

export interface HostInterface {
  readonly name: string;
  readonly index: number;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly loopback: boolean;
  readonly addresses: readonly {
    readonly address: string;
    readonly prefix: number;
    readonly family: 'inet' | 'inet6';
    readonly scope: string;
  }[];
}

/** A UDP socket that waits for anybody. */
export interface UdpSocket {
  readonly address: string;
  /** The interface to which it is bound; null = all of them. */
  readonly device: string | null;
  readonly port: number;
  /** Null where this user may not see it. */
  readonly owner: { readonly program: string; readonly pid: number } | null;
}

/** What this host's network is like, as far as it matters to who wants to serve an interface. */
export interface HostNetwork {
  readonly interfaces: readonly HostInterface[];
  /** Names of the interfaces that carry a default route, IPv4 or IPv6, in any table. */
  readonly defaultRoutes: readonly string[];
  readonly udp: readonly UdpSocket[];
}

const run = promisify(execFile);
/** Programs that only read kernel tables; one that hangs must not hang us. In milliseconds. */
const patience = 10_000;

/** Asks `ip` and `ss` of iproute2. */
export async function readHostNetwork(): Promise<HostNetwork> {
  const ask = async (program: string, ...args: readonly string[]): Promise<string> =>
    (await run(program, args, { timeout: patience, maxBuffer: 64 * 1024 * 1024, env: systemEnvironment() }))
      .stdout;
  const [addresses, routes4, routes6, sockets] = await Promise.all([
    ask('ip', '-json', 'address', 'show'),
    ask('ip', '-4', '-json', 'route', 'show', 'table', 'all', 'default'),
    ask('ip', '-6', '-json', 'route', 'show', 'table', 'all', 'default'),
    ask('ss', '-H', '-u', '-l', '-n', '-p'),
  ]);
  return {
    interfaces: parseInterfaces(addresses),
    defaultRoutes: [...parseDefaultRoutes(routes4), ...parseDefaultRoutes(routes6)],
    udp: parseUdpSockets(sockets),
  };
}

/** For programs of the system: nothing of our own environment, which may hold secrets, and texts in English. */
export function systemEnvironment(): Record<string, string> {
  return { PATH: systemPath(), LC_ALL: 'C' };
}

/** Programs of administrators are not in every user's PATH. */
export function systemPath(): string {
  return [process.env['PATH'], '/usr/sbin', '/usr/bin', '/sbin', '/bin'].filter(Boolean).join(':');
}

const addressList = z.array(
  z.object({
    ifname: z.string(),
    ifindex: z.number(),
    flags: z.array(z.string()).default([]),
    addr_info: z
      .array(
        z.object({
          family: z.string(),
          local: z.string().optional(),
          prefixlen: z.number().optional(),
          scope: z.string().default('global'),
        }),
      )
      .default([]),
  }),
);

/** Reads `ip -json address show`. */
export function parseInterfaces(text: string): readonly HostInterface[] {
  return addressList.parse(parseList(text)).map(({ ifname, ifindex, flags, addr_info: addresses }) => ({
    name: ifname,
    index: ifindex,
    up: flags.includes('UP'),
    carrier: flags.includes('LOWER_UP'),
    loopback: flags.includes('LOOPBACK'),
    addresses: addresses.flatMap(({ family, local, prefixlen, scope }) =>
      (family === 'inet' || family === 'inet6') && local !== undefined && prefixlen !== undefined
        ? [{ address: local, prefix: prefixlen, family, scope }]
        : [],
    ),
  }));
}

const routeList = z.array(
  z.object({
    dev: z.string().optional(),
    nexthops: z.array(z.object({ dev: z.string().optional() })).default([]),
  }),
);

/** Reads `ip -json route show default`: the interfaces they use, those of multipath routes too. */
export function parseDefaultRoutes(text: string): readonly string[] {
  return routeList
    .parse(parseList(text))
    .flatMap(({ dev, nexthops }) => [dev, ...nexthops.map((hop) => hop.dev)])
    .filter((dev) => dev !== undefined);
}

/** Older versions print nothing at all instead of an empty list. */
function parseList(text: string): unknown {
  return text.trim() === '' ? [] : JSON.parse(text);
}

/** Reads `ss -H -u -l -n -p`: state, two queues, local address, peer, owners. */
export function parseUdpSockets(text: string): readonly UdpSocket[] {
  return text.split('\n').flatMap((line) => {
    const [, , , local = '', , owners = ''] = line.trim().split(/\s+/);
    const found = /^(.*?)(?:%([^:\]]+))?\]?:(\d+)$/.exec(local);
    if (!found) return [];
    const owner = /\("([^"]*)",pid=(\d+)/.exec(owners);
    return [
      {
        address: found[1]!.replaceAll(/[[\]]/g, ''),
        device: found[2] ?? null,
        port: Number(found[3]),
        owner: owner ? { program: owner[1]!, pid: Number(owner[2]) } : null,
      },
    ];
  });
}
