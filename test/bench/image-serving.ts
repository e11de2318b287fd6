import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BenchSkipped, median, type Bench, type Figure } from './bench.ts';
import type { ImageServer } from './image-server-process.ts';
import { startNginx } from './nginx.ts';
import { processCpu } from './process-cpu.ts';

const imageBytes = 1024 ** 3;
const gigabyte = 1e9;

/** One who is asked for the image. */
interface Contender {
  readonly pid: number;
  readonly url: string;
  /** curl's, on standard input: a token is not for the process list. */
  readonly header: string;
}

interface Run {
  /** Gigabytes (10^9 bytes) a second, of all clients together. */
  readonly throughput: number;
  /** The server's CPU seconds for a gigabyte. */
  readonly cpu: number;
}

export const imageServing: Bench = {
  name: 'image-serving',
  compares: 'an image of 1 GiB from the boot service, and the same file from nginx with sendfile, to curl',
  run,
};

async function run(): Promise<readonly Figure[]> {
  if (process.platform !== 'linux')
    throw new BenchSkipped('CPU time is read from /proc, which only Linux has');
  requireCurl();
  const stops: (() => Promise<void>)[] = [];
  try {
    const [ours, plain] = await Promise.all([
      startBootService('kernel', stops),
      startBootService('node', stops),
    ]);
    const nginx = await startNginx(ours.path);
    stops.push(nginx.stop);
    const reference: Contender = { pid: nginx.pid, url: nginx.url, header: '' };
    // Into the page cache, and every program warm.
    for (const contender of [ours, plain, reference]) await fetchImage(contender, 2);
    const figures: Figure[] = [];
    for (const { clients, seconds } of [
      { clients: 1, seconds: 20 },
      { clients: 16, seconds: 30 },
    ]) {
      const most = await byTurns(ours, reference, clients, seconds);
      const some = await byTurns(plain, reference, clients, seconds / 4);
      figures.push(
        ...figuresOf(clients, 'csbm', most, 0.9),
        ...figuresOf(clients, 'csbm without sendfile', some, null),
      );
    }
    return figures;
  } finally {
    await Promise.all(stops.map((stop) => stop()));
  }
}

interface Round {
  readonly ours: Run;
  readonly reference: Run;
}

/** Rounds in which each has its turn, in changing order; at least two, until time is up. */
async function byTurns(
  ours: Contender,
  reference: Contender,
  clients: number,
  seconds: number,
): Promise<readonly Round[]> {
  const rounds: Round[] = [];
  const end = performance.now() + seconds * 1_000;
  while (rounds.length < 2 || performance.now() < end) {
    if (rounds.length % 2 === 0) {
      const run = await fetchImage(ours, clients);
      rounds.push({ ours: run, reference: await fetchImage(reference, clients) });
    } else {
      const run = await fetchImage(reference, clients);
      rounds.push({ ours: await fetchImage(ours, clients), reference: run });
    }
  }
  return rounds;
}

async function fetchImage({ pid, url, header }: Contender, clients: number): Promise<Run> {
  const cpuBefore = processCpu(pid);
  const began = performance.now();
  await Promise.all(Array.from({ length: clients }, () => curl(url, header)));
  const seconds = (performance.now() - began) / 1_000;
  const gigabytes = (clients * imageBytes) / gigabyte;
  return { throughput: gigabytes / seconds, cpu: (processCpu(pid) - cpuBefore) / gigabytes };
}

async function curl(url: string, header: string): Promise<void> {
  const options = ['--silent', '--show-error', '--fail', '--output', '/dev/null', '--config', '-'];
  const child = spawn('curl', [...options, '--write-out', '%{size_download}', url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.on('data', (text: Buffer) => (told += text.toString()));
  child.stdin.end(header === '' ? '' : `header = "${header}"\n`);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || Number(told) !== imageBytes)
    throw new Error(`curl ended with ${code ?? 'a signal'} after ${told || 0} bytes of ${url}`);
}

/** The ratio is the median of the rounds' ratios: load that comes and goes meets neighbours alike. */
function figuresOf(
  clients: number,
  name: string,
  rounds: readonly Round[],
  atLeast: number | null,
): readonly Figure[] {
  const row = (key: keyof Run, what: string, unit: string, target: Figure['target']): Figure => ({
    what: `${clients} client${clients === 1 ? '' : 's'}: ${name}, ${what}`,
    ours: `${median(rounds.map(({ ours }) => ours[key])).toFixed(2)} ${unit}`,
    reference: `${median(rounds.map(({ reference }) => reference[key])).toFixed(2)} ${unit}`,
    // CPU time is counted in hundredths of a second: a run may have taken none.
    ratio: median(rounds.map(({ ours, reference }) => ours[key] / Math.max(reference[key], 0.01))),
    target,
  });
  return [
    row('throughput', 'throughput', 'GB/s', atLeast === null ? null : { atLeast }),
    row('cpu', 'CPU of the server', 's/GB', null),
  ];
}

async function startBootService(
  mode: 'kernel' | 'node',
  stops: (() => Promise<void>)[],
): Promise<{ readonly pid: number; readonly url: string; readonly header: string; readonly path: string }> {
  const program = fileURLToPath(new URL('./image-server-process.ts', import.meta.url));
  const child = fork(program, [String(imageBytes), mode], {
    execArgv: ['tsx', '../support/tsx-in-threads.mjs'].flatMap((loader) => [
      '--import',
      import.meta.resolve(loader),
    ]),
  });
  const ended = once(child, 'exit');
  stops.push(async () => {
    if (child.connected) child.send('end');
    await ended;
  });
  const server = await Promise.race([
    once(child, 'message').then(([message]) => message as ImageServer),
    ended.then(() => null),
  ]);
  if (server === null) throw new Error('the boot service did not start');
  if (!server.asAsked) throw new BenchSkipped('npm ci, with optional dependencies (koffi), on Linux');
  return {
    pid: child.pid!,
    url: server.url,
    header: `Authorization: Bearer ${server.token}`,
    path: server.path,
  };
}

function requireCurl(): void {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
  } catch {
    throw new BenchSkipped('apt-get install curl');
  }
}
