import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAuthority } from '../../lab/management-server/certificate.ts';
import type { ServerAddress } from '../../src/api/cloudstack-agent/server-list.ts';
import type { AgentOrder, Observed } from './agent-links-process.ts';
import type { Bench, Figure } from './bench.ts';
import { startChild, type Child } from './child-process.ts';
import type { ManagementServerOrder } from './management-server-process.ts';

const links = Number(process.env['LINKS'] ?? 2_000);
/** Seconds; CloudStack's own is 60, which would make the measurement longer and easier. */
const pingInterval = 10;
/** Seconds of pings that are measured. */
const measured = 20;
/** Seconds that the only server is away. */
const outage = 15;
const limits = { pingMs: 1_000, backMs: 60_000, loopDelayMs: 50 };
/** Links that are not up then are given up, in milliseconds. */
const patience = 90_000;

/** Two servers of one cluster, and one that answers nothing, at one port, since CloudStack tells its agents hosts without ports. */
const hosts = { first: '127.0.0.1', second: '127.0.0.2', silent: '127.0.0.3' };

/** The agent door with the real store, against the lab's management server, each in a process of its own on the same machine. */
export const agentLinks: Bench = {
  name: 'agent-links',
  compares: `${links} links to management servers, a ping every ${pingInterval} s on each, against their limits`,
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'csbm-bench-'));
    const children: Child[] = [];
    const figures: Figure[] = [];
    const sockets: Socket[] = [];
    try {
      const port = await freePort();
      const files = credentialFiles(folder);
      const start = async (...[program, order, options]: Parameters<typeof startChild>): Promise<Child> => {
        const child = await startChild(program, order, options);
        children.push(child);
        return child;
      };
      const serve = (host: string, mgmtId: number, told: readonly string[]): Promise<Child> =>
        start('./management-server-process.ts', {
          ...{ host, port, pingInterval, mgmtId, servers: told },
          authority: { pemFile: files.caFile, keyFile: files.caKeyFile },
        } satisfies ManagementServerOrder);
      const agentOrder: AgentOrder = { links, ...files };
      const agent = await start('./agent-links-process.ts', agentOrder, ['--expose-gc']);
      const both = [hosts.first, hosts.second];
      let first = await serve(hosts.first, 1, [hosts.first]);
      const before = await memory(agent);
      await observed(agent);

      /** What the event loop did in a phase. */
      const loop = (phase: string, { loopDelay, ownDelay, cores }: Observed): void => {
        const more = `max ${loopDelay.max.toFixed(0)}, own CPU p99 ${ownDelay.toFixed(0)}; ${cores.toFixed(2)} cores`;
        const shown = `${loopDelay.p99.toFixed(1)} ms (${more})`;
        figures.push(
          limit(`event loop delay, p99, ${phase}`, shown, loopDelay.p99, limits.loopDelayMs, 'ms'),
        );
      };
      const back = async (what: string, server: Child, since: number): Promise<void> => {
        const up = await allUp(agent, server);
        const took = performance.now() - since;
        const time = `${(took / 1_000).toFixed(1)} s (load ${loadavg()[0]!.toFixed(1)})`;
        const shown = up === links ? time : `only ${up} within ${time}`;
        figures.push(limit(what, shown, up === links ? took : Infinity, limits.backMs, 'ms'));
        loop(what, await observed(agent));
      };

      let began = performance.now();
      const connectTo = (...named: string[]): Promise<unknown> =>
        agent.ask(
          'connect',
          named.map((host): ServerAddress => ({ host, port })),
        );
      await connectTo(hosts.first);
      await back('all up, from nothing', first, began);

      await sleep(pingInterval * 1_000);
      await observed(agent);
      await sleep(measured * 1_000);
      const steady = await observed(agent);
      const { pings } = steady;
      figures.push(
        {
          what: 'pings answered',
          ours: `${pings.answered} of ${pings.sent}`,
          reference: 'all',
          ratio: pings.answered / pings.sent,
          target: { atLeast: 1 },
        },
        limit('ping to answer, p99', spread(pings), pings.p99, limits.pingMs, 'ms'),
      );
      loop('pings', steady);
      const after = await memory(agent);
      const per = (what: keyof NodeJS.MemoryUsage): string =>
        ((after[what] - before[what]) / links / 1_024).toFixed(0);
      figures.push(
        told('memory of a link', `${per('rss')} KiB (heap ${per('heapUsed')}, outside ${per('external')})`),
      );

      await first.kill();
      await sleep(outage * 1_000);
      await observed(agent);
      first = await serve(hosts.first, 1, both);
      began = performance.now();
      await back(`all back after ${outage} s without a server`, first, began);

      // From one server to the other and back, as in a rolling upgrade.
      const second = await serve(hosts.second, 2, both);
      await observed(agent);
      began = performance.now();
      await first.kill();
      await back('all at the second server', second, began);
      first = await serve(hosts.first, 1, both);
      began = performance.now();
      await second.kill();
      await back('all at the first server again', first, began);

      // A server that drops packets is the first of the list.
      await agent.ask('disconnect');
      const silent = await start('./silent-server-process.ts', { host: hosts.silent, port });
      silent.freeze();
      sockets.push(...(await fill(hosts.silent, port)));
      await observed(agent);
      began = performance.now();
      await connectTo(hosts.silent, hosts.first);
      await back('all up, past a server that answers nothing', first, began);
      const anomalies = await first.ask<string[]>('anomalies');
      if (anomalies.length > 0) throw new Error(`the server complains: ${anomalies.join('; ')}`);
      await agent.ask('stop');
      return figures;
    } finally {
      for (const socket of sockets) socket.destroy();
      for (const child of children) await child.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

const told = (what: string, ours: string): Figure => ({
  what,
  ours,
  reference: '-',
  ratio: Number.NaN,
  target: null,
});

const limit = (what: string, ours: string, value: number, bound: number, unit: string): Figure => ({
  what,
  ours,
  reference: `${bound} ${unit}`,
  ratio: value / bound,
  target: { atMost: 1 },
});

const spread = ({ p50, p99, max }: Observed['pings']): string =>
  `${p99.toFixed(1)} ms (p50 ${p50.toFixed(1)}, max ${max.toFixed(0)})`;

const memory = (agent: Child): Promise<NodeJS.MemoryUsage> => agent.ask('memory');
const observed = (agent: Child): Promise<Observed> => agent.ask('observed');

/** Waits until both ends have every host up, or until that takes too long; gives how many are. */
async function allUp(agent: Child, server: Child): Promise<number> {
  const end = performance.now() + patience;
  for (;;) {
    const [here, there] = await Promise.all([agent.ask<number>('up'), server.ask<number>('hostsUp')]);
    const up = Math.min(here, there);
    if (up === links || performance.now() > end) return up;
    await sleep(100);
  }
}

/** Not one that the kernel gives to outgoing connections: a link that dials a server that is away could get it, and meet itself. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const server = createServer().listen(port);
    const free = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]);
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Takes all places in the queue of a server that accepts nothing. */
async function fill(host: string, port: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (;;) {
    const socket = connect(port, host).on('error', () => undefined);
    sockets.push(socket);
    const taken = await Promise.race([once(socket, 'connect').then(() => true), sleep(1_000, false)]);
    if (!taken) return sockets;
  }
}

/** What a fresh installation demands: certificates on both sides. */
function credentialFiles(
  folder: string,
): Pick<AgentOrder, 'caFile' | 'certificateFile' | 'keyFile'> & { caKeyFile: string } {
  const authority = createAuthority();
  const { pem, keyPem } = authority.issue('csbm', Object.values(hosts));
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  return {
    caFile: write('ca.pem', authority.pem),
    caKeyFile: write('ca.key', authority.keyPem),
    certificateFile: write('agent.pem', pem),
    keyFile: write('agent.key', keyPem),
  };
}
