/**
 * The service's agent door in a process of its own, for the bench: the real store with so many machines, every second one with an
 * instance, the real poller (of BMCs that answer at once), power report, credentials and links, put together as in `src/composition`.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { milliseconds, minutes, seconds, type Bmc, type PowerDriver } from '../../plugin-api/index.ts';
import type { AgentCommands } from '../../src/api/cloudstack-agent/agent-commands.ts';
import { AgentService } from '../../src/api/cloudstack-agent/agent-service.ts';
import type { ServerAddress } from '../../src/api/cloudstack-agent/server-list.ts';
import { FileCredentials } from '../../src/api/cloudstack-agent/cloud-credentials.ts';
import { cloudHost } from '../../src/api/cloudstack-agent/cloud-hosts.ts';
import type { Machine, MachineId } from '../../src/core/machine/machine.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import { Machines } from '../../src/operations/machines.ts';
import type { OperationEvents } from '../../src/operations/operation-events.ts';
import { defaultPollSettings, PowerPoller } from '../../src/operations/power/power-poller.ts';
import { PowerService } from '../../src/operations/power/power-service.ts';
import type { Timings } from '../../src/operations/timings.ts';
import type { World } from '../../src/operations/world.ts';
import { machine as sample } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';
import { hostIdOf } from './agent-links-host.ts';
import { answerQuestions } from './child-process.ts';

/** First argument, in JSON. */
export interface AgentOrder {
  readonly links: number;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** What was seen since the question before. */
export interface Observed {
  /** Milliseconds; the monitor's own resolution is part of it. */
  readonly loopDelay: { readonly p99: number; readonly max: number };
  /** CPU time of this process between two turns of a timer, p99, milliseconds: what the delay would be with a core to itself. */
  readonly ownDelay: number;
  readonly pings: {
    readonly sent: number;
    readonly answered: number;
    readonly p50: number;
    readonly p99: number;
    readonly max: number;
  };
  /** Of this process. */
  readonly cores: number;
}

const order = JSON.parse(process.argv[2]!) as AgentOrder;
const clock = new SystemClock();
// As it is by default, with a reader that costs nothing.
const log = createLog({ level: 'info', destination: { write: () => undefined } });
const temp = await tempStorage();
const { storage } = temp;
const events = new EventBus<OperationEvents>();
const metrics = new Metrics();
const bmc = { state: () => Promise.resolve('on'), close: () => Promise.resolve() } as unknown as Bmc;
const driver = { type: 'ipmi', open: () => bmc, close: () => Promise.resolve() } as unknown as PowerDriver;
const power = new PowerService({
  drivers: new Map([['ipmi', driver]]),
  storage,
  clock,
  timings: {} as Timings,
  log,
  events,
  makeWay: milliseconds(500),
});
const machines = new Machines({ storage, clock, power, events, log } as unknown as World);
const fleet = Array.from({ length: order.links }, (_, i) => machineAt(i));
await storage.run(async (tx) => {
  for (const [i, machine] of fleet.entries()) {
    await tx.machines.insert(machine);
    if (i % 2 === 0) continue;
    const { id: machineId } = machine;
    const externalId = `cloudstack/i-2-${i}-VM`;
    await tx.claims.insert({
      machineId,
      holder: 'instance',
      externalId,
      owner: '',
      instanceUuid: null,
      since: 1,
      version: 1,
    });
  }
});
const poller = new PowerPoller({
  storage,
  clock,
  log,
  metrics,
  events,
  settings: defaultPollSettings,
  read: (machine, signal) => power.poll(machine, signal),
});
await poller.start();

const credentials = new FileCredentials({
  trust: { caFile: order.caFile },
  files: { certificateFile: order.certificateFile, keyFile: order.keyFile },
  provisionedFile: join(tmpdir(), 'none'),
  addresses: [],
  warnBefore: minutes(1),
  clock,
  log,
});
const latencies: number[] = [];
let sent = 0;
const agents = new AgentService({
  clock,
  log,
  // No server of the bench sends a command that asks for them.
  commands: {} as AgentCommands,
  powerReport: (id) => machines.observedPowerReport(id as MachineId, seconds(90)),
  saveHostId: (id, hostId) => machines.saveHostId(id as MachineId, hostId.toString()),
  forgetPlace: () => Promise.resolve(),
  pings: {
    sent: () => {
      sent += 1;
    },
    answered: (took) => latencies.push(took),
  },
});

const loop = monitorEventLoopDelay({ resolution: 10 });
loop.enable();
const turns: number[] = [];
let turnCpu = process.cpuUsage();
setInterval(() => {
  const { user, system } = process.cpuUsage(turnCpu);
  turnCpu = process.cpuUsage();
  turns.push((user + system) / 1_000);
}, 10).unref();
let since = clock.monotonic();
let cpu = process.cpuUsage();

answerQuestions({
  connect: async (servers: readonly ServerAddress[]) => {
    const endpoint = { servers, credentials };
    for (const { id } of await storage.run((tx) => tx.machines.list())) {
      const machine = await storage.run((tx) => tx.machines.find(id));
      await agents.add(cloudHost(machine!, endpoint, 'bench')!);
    }
    return null;
  },
  disconnect: async () => {
    await Promise.all(agents.statuses().map((link) => agents.remove(link.machineId)));
    return null;
  },
  up: () => agents.counts().up,
  memory: () => {
    for (let turn = 0; turn < 3; turn += 1) globalThis.gc?.();
    return process.memoryUsage();
  },
  observed: async (): Promise<Observed> => {
    // Those that are under way are not unanswered: soon there is a moment without any.
    for (let turn = 0; turn < 500 && latencies.length < sent; turn += 1) await clock.sleep(milliseconds(2));
    const now = clock.monotonic();
    const { user, system } = process.cpuUsage(cpu);
    const at = (part: number, values = latencies): number =>
      values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0;
    const result = {
      loopDelay: { p99: loop.percentile(99) / 1e6, max: loop.max / 1e6 },
      ownDelay: at(0.99, turns),
      pings: { sent, answered: latencies.length, p50: at(0.5), p99: at(0.99), max: at(1) },
      cores: (user + system) / 1_000 / (now - since),
    };
    loop.reset();
    latencies.length = 0;
    turns.length = 0;
    sent = 0;
    since = now;
    cpu = process.cpuUsage();
    return result;
  },
  stop: async () => {
    await agents.stop();
    await poller.stop();
    await power.close();
    await temp.close();
    setImmediate(() => process.exit(0));
    return null;
  },
});

function machineAt(i: number): Machine {
  const base = sample(1);
  const hex = i.toString(16).padStart(4, '0');
  return {
    ...base,
    id: `m${i.toString(36).padStart(5, '0')}` as MachineId,
    hostname: `node-${i}`,
    nics: base.nics.map((nic, at) => ({
      ...nic,
      mac: `52:54:${hex.slice(0, 2)}:${hex.slice(2)}:00:0${at}` as never,
    })),
    cloudPlace: { ...base.cloudPlace!, guid: `guid-${i}`, hostId: String(hostIdOf(i)) },
    bmc: { ...base.bmc!, host: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` },
    quarantine: null,
    power: { state: 'on', at: 1 },
  };
}
