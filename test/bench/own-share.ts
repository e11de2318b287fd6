import { loadavg } from 'node:os';
import { destroyCommand, startCommand } from '../../lab/management-server/commands.ts';

import type { Stage } from '../../lab/demo/stage.ts';
import { median, type Bench, type Figure } from './bench.ts';
import type { ServiceSeen } from './service-process.ts';
import { databases, zeroFloor, type Database } from './zero-floor.ts';

const limits = { p50Ms: 30, p99Ms: 100 };
const warmUp = Number(process.env['WARM_UP'] ?? 30);
const starts = Number(process.env['STARTS'] ?? 200);
/** Where to leave a profile of the service's processor time, for V8's own tools. */
const profile = process.env['PROFILE'];

/** Milliseconds of one Start. */
interface Taken {
  readonly wall: number;
  /** In which the simulated devices were at work. */
  readonly devices: number;
  /** In which the service was. */
  readonly service: number;
  readonly seen: ServiceSeen;
}

/** What a Start takes besides what its devices take, one after the other. */
export const ownShare: Bench = {
  name: 'own-share',
  compares: `the service's own share of a Start, ${starts} one after the other, against its limits`,
  async run() {
    const figures: Figure[] = [];
    for (const database of databases()) figures.push(...(await measure(database)));
    return figures;
  },
};

async function measure(database: Database): Promise<readonly Figure[]> {
  const { stage, service, close } = await zeroFloor(database, { machines: 1, floor: {} });
  try {
    await stage.furnish('quick');
    const host = await stage.host('server-1');
    const instance = stage.instance('i-2-1-VM');
    const taken: Taken[] = [];
    const firmware = firmwareWatch(stage);
    for (let i = 0; i < warmUp + starts; i += 1) {
      if (i === warmUp && profile !== undefined) await service.ask('profile');
      await service.ask('seen');
      firmware.take();
      const before = performance.eventLoopUtilization();
      const began = performance.now();
      await good(stage, host, startCommand(instance));
      const wall = performance.now() - began;
      const { active } = performance.eventLoopUtilization(before);
      const seen = await service.ask<ServiceSeen>('seen');
      const devices = active + firmware.take();
      if (i >= warmUp) taken.push({ wall, devices, service: seen.active, seen });
      await good(stage, host, destroyCommand(instance));
    }
    if (profile !== undefined) await service.ask('profile', `${profile}-${database}.cpuprofile`);
    return figures(database, taken);
  } finally {
    await close();
  }
}

/** Measures how long the machine's first self-test took since the question before: the one that the Start waits for. */
function firmwareWatch(stage: Stage): { take(): number } {
  let began: number | null = null;
  let first: number | null = null;
  stage.floor.machines[0]!.machine.events.on('phase', ({ phase }) => {
    if (phase === 'firmware') began ??= performance.now();
    else if (began !== null) first ??= performance.now() - began;
  });
  return {
    take: () => {
      const took = first ?? 0;
      began = null;
      first = null;
      return took;
    },
  };
}

async function good(stage: Stage, host: bigint, command: ReturnType<typeof startCommand>): Promise<void> {
  const [answer] = await stage.cloud.send(host, [command], { timeout: 60_000 });
  if (!answer?.result) throw new Error(`${command.className}: ${answer?.details ?? 'no answer'}`);
}

function figures(database: Database, taken: readonly Taken[]): readonly Figure[] {
  const own = taken.map(({ wall, devices }) => wall - devices);
  const at = (part: number, values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]!;
  const spread = (values: readonly number[]): string =>
    `${at(0.5, values).toFixed(1)} ms, p99 ${at(0.99, values).toFixed(1)}`;
  const told = (what: string, ours: string): Figure => ({
    what,
    ours,
    reference: '-',
    ratio: NaN,
    target: null,
  });
  const names = [...new Set(taken.flatMap(({ seen }) => Object.keys(seen.parts)))].sort();
  return [
    limit(`${database}: own share, median`, at(0.5, own), limits.p50Ms),
    limit(`${database}: own share, p99`, at(0.99, own), limits.p99Ms),
    told('  wall time', spread(taken.map(({ wall }) => wall))),
    told('  devices at work', spread(taken.map(({ devices }) => devices))),
    told('  service at work, also while devices are', spread(taken.map(({ service }) => service))),
    told('  CPU of the service', spread(taken.map(({ seen }) => seen.cpu))),
    ...names.map((name) => {
      const each = taken.map(({ seen }) => seen.parts[name] ?? { count: 0, ms: 0 });
      return told(
        `  ${name}`,
        `${median(each.map(({ ms }) => ms)).toFixed(1)} ms in ${median(each.map(({ count }) => count))}`,
      );
    }),
    told('  Node', process.versions.node),
    told('  load average', loadavg()[0]!.toFixed(1)),
  ];
}

function limit(what: string, value: number, most: number): Figure {
  return {
    what,
    ours: `${value.toFixed(1)} ms`,
    reference: `${most} ms`,
    ratio: value / most,
    target: { atMost: 1 },
  };
}
