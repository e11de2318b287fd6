import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { parseApiKey, type OAuthKey } from '../../src/wire/oauth/api-key.ts';
import { authorizationHeader } from '../../src/wire/oauth/sign.ts';
import { median, type Bench, type Figure } from './bench.ts';
import { startChild, type Child } from './child-process.ts';
import { processCpu } from './process-cpu.ts';
import type { MaasApiObserved, MaasApiOrder, MaasApiPlace } from './maas-api-process.ts';

const order: MaasApiOrder = { machines: Number(process.env['MACHINES'] ?? 10_000), poolSize: 1_000, nics: 4 };
const limits = { thousandMs: 300, allMs: 4_000, firstByteMs: 100, oneMs: 5, loopDelayMs: 50, growthMb: 64 };
/** How often each is asked; the first few times warm up and do not count. */
const rounds = { warmUp: 20, thousand: 100, all: 3, one: 1_000 };

/** Milliseconds until the first byte of the body and the last one, and its length. */
interface Taken {
  readonly first: number;
  readonly whole: number;
  readonly bytes: number;
}

interface Measured {
  readonly what: string;
  readonly taken: readonly Taken[];
  /** Of the service, for one request. */
  readonly cpuMs: number;
  readonly seen: MaasApiObserved;
}

/** Lists of machines and single ones over HTTP, as MAAS clients read them, against their limits. */
export const maasApi: Bench = {
  name: 'maas-api',
  compares: `${order.machines} machines of ${order.nics} NICs over the MAAS API, against its limits`,
  async run() {
    const child = await startChild('./maas-api-process.ts', order);
    const agent = new Agent({ keepAlive: true });
    try {
      const place = await child.ask<MaasApiPlace>('place');
      const client: Client = { ...place, oauth: parseApiKey(place.key)!, agent };
      return await figures(child, client);
    } finally {
      agent.destroy();
      await child.ask('stop').catch(() => undefined);
      await child.kill();
    }
  },
};

async function figures(child: Child, client: Client): Promise<readonly Figure[]> {
  const pools = Math.ceil(order.machines / order.poolSize);
  const measure = async (what: string, times: number, path: (i: number) => string): Promise<Measured> => {
    for (let i = 0; i < Math.min(rounds.warmUp, times); i += 1) await get(client, path(i));
    await child.ask('observed');
    const taken: Taken[] = [];
    const cpuBefore = processCpu(child.pid);
    for (let i = 0; i < times; i += 1) taken.push(await get(client, path(i)));
    const cpuMs = ((processCpu(child.pid) - cpuBefore) * 1_000) / times;
    return { what, taken, cpuMs, seen: await child.ask<MaasApiObserved>('observed') };
  };
  const machine = (i: number): number => (i * 7_919) % order.machines;
  const thousand = await measure('1,000 in full (pool=)', rounds.thousand, (i) => `?pool=pool-${i % pools}`);
  const all = await measure(`all ${order.machines}`, rounds.all, () => '');
  const one = [
    await measure('one by id', rounds.one, (i) => `?id=m${machine(i).toString(36).padStart(5, '0')}`),
    await measure(
      'one by id, at its own address',
      rounds.one,
      (i) => `m${machine(i).toString(36).padStart(5, '0')}/`,
    ),
    await measure('one by MAC', rounds.one, (i) => `?mac_address=${macOf(machine(i))}`),
    await measure('one by hostname', rounds.one, (i) => `?hostname=node-${machine(i)}`),
  ];
  const p99 = (values: readonly number[]): number => percentile(values, 0.99);
  const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const growth = (all.seen.residentMost - all.seen.residentBefore) / 2 ** 20;
  const most = Math.max(...all.taken.map(({ whole }) => whole));
  const loopDelay = Math.max(...[thousand, all, ...one].map(({ seen }) => seen.loopDelayP99));
  return [
    limit(`${thousand.what}, p99`, p99(thousand.taken.map(({ whole }) => whole)), limits.thousandMs),
    told('  its length', megabytes(thousand.taken[0]!.bytes)),
    ...details(thousand),
    limit(`${all.what}, the slowest of ${rounds.all}`, most, limits.allMs),
    limit(`${all.what}, first byte`, Math.max(...all.taken.map(({ first }) => first)), limits.firstByteMs),
    told('  its length', megabytes(all.taken[0]!.bytes)),
    ...details(all),
    {
      what: '  growth of memory meanwhile',
      ours: `${growth.toFixed(0)} MiB`,
      reference: `${limits.growthMb} MiB`,
      ratio: growth / limits.growthMb,
      target: { atMost: 1 },
    },
    ...one.flatMap((each) => [
      limit(`${each.what}, median`, median(each.taken.map(({ whole }) => whole)), limits.oneMs),
      told('  p99', `${p99(each.taken.map(({ whole }) => whole)).toFixed(1)} ms`),
      ...details(each),
    ]),
    limit('event loop delay meanwhile, p99', loopDelay, limits.loopDelayMs),
  ];
}

/** Of the service, for one request. */
function details({ taken, cpuMs, seen }: Measured): readonly Figure[] {
  return [
    told('  median', `${median(taken.map(({ whole }) => whole)).toFixed(1)} ms`),
    told('  CPU', `${cpuMs.toFixed(1)} ms`),
    told('  database statements', (seen.queries / taken.length).toFixed(1)),
  ];
}

const limit = (what: string, ours: number, most: number): Figure => ({
  what,
  ours: `${ours.toFixed(1)} ms`,
  reference: `${most} ms`,
  ratio: ours / most,
  target: { atMost: 1 },
});

const told = (what: string, ours: string): Figure => ({
  what,
  ours,
  reference: '',
  ratio: Number.NaN,
  target: null,
});

interface Client extends MaasApiPlace {
  readonly oauth: OAuthKey;
  readonly agent: Agent;
}

/** Reads it to its end, signed; nothing is parsed, which is the client's part. */
function get({ url: root, oauth, agent }: Client, path: string): Promise<Taken> {
  const url = `${root}/MAAS/api/2.0/machines/${path}`;
  const authorization = authorizationHeader({
    key: oauth,
    method: 'GET',
    url,
    signatureMethod: 'PLAINTEXT',
    timestamp: Math.floor(Date.now() / 1_000),
    nonce: randomBytes(16).toString('hex'),
  });
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const sent = request(url, { agent, headers: { authorization } }, (res) => {
      let first = Number.NaN;
      let bytes = 0;
      res.on('data', (chunk: Buffer) => {
        if (bytes === 0) first = performance.now() - began;
        bytes += chunk.length;
      });
      res.on('end', () => {
        if (res.statusCode === 200) resolve({ first, whole: performance.now() - began, bytes });
        else reject(new Error(`${url}: ${res.statusCode}`));
      });
      res.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

function macOf(i: number): string {
  const hex = i.toString(16).padStart(4, '0');
  return `52:54:${hex.slice(0, 2)}:${hex.slice(2)}:00:01`;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}
