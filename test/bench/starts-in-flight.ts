import { loadavg } from 'node:os';
import { startCommand, type LabInstance } from '../../lab/management-server/commands.ts';
import type { Bench, Figure } from './bench.ts';
import type { Child } from './child-process.ts';
import type { ServiceSeen } from './service-process.ts';
import { databases, zeroFloor, type Database } from './zero-floor.ts';

const count = Number(process.env['IN_FLIGHT'] ?? 1_000);
const mostMiB = 512;
/** On each pair of switches. */
const machinesPerPair = 40;
/** Machines enrolled and commissioned at once, before anything is measured. */
const preparedAtOnce = 50;

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

async function measure(database: Database): Promise<readonly Figure[]> {
  const { stage, service, close } = await zeroFloor(database, {
    machines: count,
    floor: { machinesPerPair, switches: 2 * Math.ceil(count / machinesPerPair) },
  });
  try {
    await stage.furnish('quick', preparedAtOnce);
    const names = stage.floor.machines.map(({ machine }) => machine.name);
    const hosts: bigint[] = [];
    for (const name of names) hosts.push(await stage.host(name));
    const idle = await memoryOf(service);
    await service.ask('seen');
    const began = performance.now();
    let inFlight = 0;
    let most = 0;
    const answers = await Promise.all(
      hosts.map(async (host, i) => {
        most = Math.max(most, (inFlight += 1));
        const sent = performance.now();
        const [answer] = await stage.cloud.send(host, [startCommand(instanceOf(i))], { timeout: 1_800_000 });
        inFlight -= 1;
        return { answer: answer!, took: performance.now() - sent };
      }),
    );
    const seconds = (performance.now() - began) / 1_000;
    const seen = await service.ask<ServiceSeen>('seen');
    const failed = answers.filter(({ answer }) => !answer.result);
    const running = stage.floor.machines.filter(({ machine }) => machine.phase === 'os').length;
    const took = answers.map((one) => one.took).sort((a, b) => a - b);
    const told = (what: string, ours: string): Figure => ({
      what: `  ${what}`,
      ours,
      reference: '-',
      ratio: NaN,
      target: null,
    });
    const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
    return [
      {
        what: `${database}: memory at most (RSS)`,
        ours: mib(seen.residentMost),
        reference: `${mostMiB} MiB`,
        ratio: seen.residentMost / 2 ** 20 / mostMiB,
        target: { atMost: 1 },
      },
      {
        what: `${database}: Starts answered well`,
        ours: `${count - failed.length}, ${running} systems run${failed[0] ? `; ${failed[0].answer.details}` : ''}`,
        reference: `${count}`,
        ratio: Math.min(count - failed.length, running) / count,
        target: { atLeast: 1 },
      },
      told('in flight at once', `${most}`),
      told('memory before', mib(idle)),
      told('throughput', `${(count / seconds).toFixed(1)} Starts a second, all in ${seconds.toFixed(1)} s`),
      told('from command to answer', `median ${ms(took[count >> 1]!)}, slowest ${ms(took.at(-1)!)}`),
      told('CPU of the service for a Start', `${(seen.cpu / count).toFixed(1)} ms`),
      told('load average', loadavg()[0]!.toFixed(1)),
    ];
  } finally {
    await close();
  }
}

const ms = (time: number): string => `${(time / 1_000).toFixed(1)} s`;

async function memoryOf(service: Child): Promise<number> {
  return (await service.ask<ServiceSeen>('seen')).residentMost;
}

function instanceOf(i: number): LabInstance {
  const id = i + 1_000;
  return {
    name: `i-2-${id}-VM`,
    id,
    uuid: `00000000-0000-4000-8000-${id.toString().padStart(12, '0')}`,
    hostName: `i-2-${id}-vm`,
    template: 'http://templates.example/lab-linux',
    nics: [
      {
        mac: `06:00:ac:20:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
        deviceId: 0,
        defaultNic: true,
        ip: `10.2.${i >> 8}.${i & 255}`,
        broadcastUri: `vlan://${200 + (i % 20)}`,
      },
    ],
    doPxe: true,
  };
}
