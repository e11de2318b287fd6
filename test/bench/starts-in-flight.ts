import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCommand, type LabInstance } from '../../lab/management-server/commands.ts';
import { ServiceProcess } from '../../lab/demo/service-process.ts';
import type { Bench, Figure } from './bench.ts';
import type { FloorSeen } from './floor-process.ts';
import { processCpu } from './process-cpu.ts';
import { memoryOf } from './process-memory.ts';
import { Racks } from './racks.ts';
import { databases, zeroStage, type Database } from './zero-floor.ts';

const count = Number(process.env['IN_FLIGHT'] ?? 1_000);
const mostMiB = 512;
/** Machines enrolled and commissioned at once, before anything is measured. */
const preparedAtOnce = 200;
/** Milliseconds after which a Start without an answer has failed: the bench ends, whatever the service does. */
const patience = 600_000;
/** Milliseconds that the last systems have to come up, beside a thousand others. */
const bootTime = 30_000;

/** As many Starts at once as there are machines, on devices that take no time. */
export const startsInFlight: Bench = {
  name: 'starts-in-flight',
  compares: `${count} Starts in flight at once on devices without latency, against a limit of memory`,
  async run() {
    const figures: Figure[] = [];
    for (const database of databases()) figures.push(...(await measure(database)));
    return figures;
  },
};

interface Answered {
  /** Null = answered well. */
  readonly fault: string | null;
  /** Milliseconds from command to answer. */
  readonly took: number;
}

async function measure(database: Database): Promise<readonly Figure[]> {
  // The stage's own floor stays empty: a thousand servers are too much for the process that also is the management server.
  let pid = 0;
  const { stage, close } = await zeroStage(database, {
    machines: 0,
    floor: { switches: 1 },
    launch: async (options) => {
      const service = await ServiceProcess.start(options);
      pid = service.pid;
      return service;
    },
  });
  let racks: Racks | null = null;
  try {
    const empty = memoryOf(pid);
    racks = await Racks.start(count, join(stage.directory, 'racks'));
    const instances = racks.machines.map((_, i) => instanceOf(i));
    await racks.allot(instances.map(({ mac, vlan, ip: address }) => ({ mac, vlan, address })));
    await stage.addImage();
    await racks.furnish(stage, preparedAtOnce);
    const hosts: bigint[] = [];
    for (const { name } of racks.machines) hosts.push(await stage.host(name));
    const floorBefore = await racks.seen();
    const cpuBefore = processCpu(pid);
    const before = memoryOf(pid);
    const began = performance.now();
    const start = async (host: bigint, i: number): Promise<Answered> => {
      const sent = performance.now();
      const fault = await stage.cloud
        .send(host, [startCommand(instances[i]!.instance)], { timeout: patience })
        .then(([answer]) => (answer!.result ? null : String(answer!.details)))
        .catch((error: unknown) => (error as Error).message);
      return { fault, took: performance.now() - sent };
    };
    // Every command is on its way before the first answer is looked at.
    const answers = await Promise.all(hosts.map(start));
    const seconds = (performance.now() - began) / 1_000;
    const cpu = processCpu(pid) - cpuBefore;
    const after = memoryOf(pid);
    const floor = await running(racks, answers.filter(({ fault }) => fault === null).length);
    const faults = answers.flatMap(({ fault }) => fault ?? []);
    const well = count - faults.length;
    const took = answers.map((one) => one.took).sort((a, b) => a - b);
    return [
      {
        what: `${database}: memory at most (RSS)`,
        ours: mib(after.residentMost),
        reference: `${mostMiB} MiB`,
        ratio: after.residentMost / mostMiB,
        target: { atMost: 1 },
      },
      {
        what: `${database}: Starts answered well`,
        ours: `${well}, ${floor.running} systems run, ${floor.violations.length} laws broken`,
        reference: `${count}`,
        ratio: floor.violations.length > 0 ? 0 : Math.min(well, floor.running) / count,
        target: { atLeast: 1 },
      },
      ...kindsOf([...faults, ...floor.violations]).map(([kind, n]) => told(`  ${kind}`, `${n}`)),
      told('without servers', mib(empty.resident)),
      told('before the Starts', `${mib(before.resident)}, at most ${mib(before.residentMost)}`),
      told('after them', mib(after.resident)),
      told('throughput', `${(count / seconds).toFixed(1)} Starts a second, all in ${seconds.toFixed(1)} s`),
      told('from command to answer', `median ${s(took[count >> 1]!)}, slowest ${s(took.at(-1)!)}`),
      told('CPU of the service for a Start', `${((cpu * 1_000) / count).toFixed(1)} ms`),
      told('CPU of servers and switches', `${((floor.cpu - floorBefore.cpu) / count).toFixed(1)} ms`),
      told('load average', loadavg()[0]!.toFixed(1)),
    ];
  } finally {
    await racks?.stop();
    await close();
  }
}

/** What is seen once so many systems run, or after a while: a Start is answered when the power is on, and the last system boots after that. */
async function running(racks: Racks, wanted: number): Promise<FloorSeen> {
  const end = performance.now() + bootTime;
  let seen = await racks.seen();
  while (seen.running < wanted && performance.now() < end) {
    await sleep(100);
    seen = await racks.seen();
  }
  return seen;
}

const told = (what: string, ours: string): Figure => ({
  what: `  ${what}`,
  ours,
  reference: '-',
  ratio: NaN,
  target: null,
});
const mib = (size: number): string => `${size.toFixed(0)} MiB`;
const s = (time: number): string => `${(time / 1_000).toFixed(1)} s`;

/** Faults that differ in names and numbers only are told once. */
function kindsOf(faults: readonly string[]): readonly (readonly [string, number])[] {
  const kinds = new Map<string, number>();
  for (const fault of faults) {
    const kind = fault.replaceAll(/[\w.:-]*\d[\w.:-]*/g, '#').slice(0, 160);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].sort(([, a], [, b]) => b - a).slice(0, 5);
}

function instanceOf(i: number): {
  readonly instance: LabInstance;
  readonly mac: string;
  readonly ip: string;
  readonly vlan: number;
} {
  const id = i + 1_000;
  const vlan = 200 + (i % 20);
  const mac = `06:00:ac:20:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`;
  const ip = `10.2.${i >> 8}.${i & 255}`;
  const instance = {
    name: `i-2-${id}-VM`,
    id,
    uuid: `00000000-0000-4000-8000-${id.toString().padStart(12, '0')}`,
    hostName: `i-2-${id}-vm`,
    template: 'http://templates.example/lab-linux',
    nics: [{ mac, deviceId: 0, defaultNic: true, ip, broadcastUri: `vlan://${vlan}` }],
    doPxe: true,
  };
  return { instance, mac, ip, vlan };
}
