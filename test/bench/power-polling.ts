import { monitorEventLoopDelay } from 'node:perf_hooks';
import { milliseconds, seconds, Secret } from '../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../src/core/machine/machine.ts';
import { createIpmiDriver } from '../../src/drivers/power/ipmi/ipmi-driver.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { OperationEvents } from '../../src/operations/operation-events.ts';
import { PowerPoller, pollSettings } from '../../src/operations/power/power-poller.ts';
import { PowerService } from '../../src/operations/power/power-service.ts';
import type { Timings } from '../../src/operations/timings.ts';
import { machine as sample } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';
import type { Bench } from './bench.ts';
import { fleetAddress } from './fleet-address.ts';
import { fleetHostIsOn, startFleet } from './ipmi-fleet.ts';

const count = 10_000;
const deadEvery = 20;
const interval = seconds(60);
/** The first round takes a quarter of the interval; what follows is measured. */
const warmUp = seconds(20);
const measured = seconds(75);
const limits = { cores: 1, stalenessMs: 75_000, loopDelayMs: 50 };

/** The real poller, power service, driver and database at the size of a data centre, in real time. */
export const powerPolling: Bench = {
  name: 'power-polling',
  compares: `${count} simulated BMCs, every ${deadEvery}th dead, each read every ${interval / 1_000} s for ${measured / 1_000} s, against its limits`,
  async run() {
    const clock = new SystemClock();
    const log = createLog({ level: 'silent' });
    const database = await tempStorage();
    const { storage } = database;
    const fleet = await startFleet(count, deadEvery);
    const driver = createIpmiDriver({ clock, log: () => undefined }, { idle: 'keep-alive' });
    const events = new EventBus<OperationEvents>();
    const power = new PowerService({
      drivers: new Map([['ipmi', driver]]),
      storage,
      clock,
      timings: {} as Timings,
      log,
      events,
      makeWay: milliseconds(500),
    });
    const readAt = new Map<string, number>();
    const poller = new PowerPoller({
      storage,
      clock,
      log,
      metrics: new Metrics(),
      events,
      settings: pollSettings(interval),
      read: async (machine, signal) => {
        const state = await power.poll(machine, signal);
        if (state !== null) readAt.set(machine.id, clock.monotonic());
        return state;
      },
    });
    try {
      const machines = Array.from({ length: count }, (_, i) => machineAt(i));
      await storage.run(async (tx) => {
        for (const machine of machines) await tx.machines.insert(machine);
      });
      const living = machines.filter((_, i) => i % deadEvery !== 0).map(({ id }) => id);
      await poller.start();
      await clock.sleep(warmUp);
      const loop = monitorEventLoopDelay({ resolution: 10 });
      loop.enable();
      const cpuBefore = process.cpuUsage();
      const began = clock.monotonic();
      const ages: number[] = [];
      while (clock.monotonic() - began < measured) {
        await clock.sleep(seconds(5));
        const now = clock.monotonic();
        for (const id of living) ages.push(now - (readAt.get(id) ?? 0));
      }
      const time = clock.monotonic() - began;
      const { user, system } = process.cpuUsage(cpuBefore);
      loop.disable();
      const cores = (user + system) / 1_000 / time;
      const staleness = percentile(ages, 0.99);
      // The monitor's own resolution is part of what it tells.
      const delay = loop.percentile(99) / 1e6;
      return [
        limit('CPU', `${cores.toFixed(2)} cores`, `${limits.cores} core`, cores / limits.cores),
        limit(
          'age of the last reading, living BMCs, p99',
          `${(staleness / 1_000).toFixed(1)} s`,
          `${limits.stalenessMs / 1_000} s`,
          staleness / limits.stalenessMs,
        ),
        limit(
          'event loop delay, p99',
          `${delay.toFixed(1)} ms`,
          `${limits.loopDelayMs} ms`,
          delay / limits.loopDelayMs,
        ),
      ];
    } finally {
      await poller.stop();
      await power.close();
      await fleet.stop();
      await database.close();
    }
  },
};

const limit = (what: string, ours: string, reference: string, ratio: number) =>
  ({ what, ours, reference, ratio, target: { atMost: 1 } }) as const;

function machineAt(i: number): Machine {
  const hex = i.toString(16).padStart(4, '0');
  const base = sample(1);
  return {
    ...base,
    id: `m${i.toString(36).padStart(5, '0')}` as MachineId,
    hostname: `node-${i}`,
    nics: base.nics.map((nic, at) => ({
      ...nic,
      mac: `52:54:${hex.slice(0, 2)}:${hex.slice(2)}:00:0${at}` as never,
    })),
    cloudPlace: null,
    power: { state: fleetHostIsOn(i) ? 'on' : 'off', at: 1 },
    quarantine: null,
    bmc: {
      ...base.bmc!,
      host: fleetAddress(i),
      username: 'admin',
      password: new Secret('password'),
      kg: null,
      knownSuite: 17,
      minSuite: 17,
    },
  };
}

function percentile(values: number[], part: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * part))]!;
}
