import { milliseconds, type Duration } from '../../plugin-api/index.ts';
import type { Config } from '../config/config.ts';
import type { MachineId } from '../core/machine/machine.ts';
import { switchTypes } from '../drivers/switch/registry.ts';
import type { Machines } from '../operations/machines.ts';
import { PowerPoller, pollSettings } from '../operations/power/power-poller.ts';
import { DeviceChecks } from '../operations/quarantine/device-checks.ts';
import type { DeviceWatch } from '../operations/quarantine/device-watch.ts';
import { scaledQuarantine } from '../operations/quarantine/quarantine-settings.ts';
import { Quarantines } from '../operations/quarantine/quarantines.ts';
import { Pruner } from '../operations/timeline/pruner.ts';
import type { World } from '../operations/world.ts';

/** What looks after devices without being asked. */
export interface DeviceCare {
  readonly poller: PowerPoller;
  readonly quarantines: Quarantines;
  stop(): Promise<void>;
}

/** Readings of power that are older are no report. */
export function reportMaxAge({ power, timings }: Config): Duration {
  return milliseconds(power.reportMaxAge / timings.scale);
}

/** Reads the power of all machines again and again, and checks what was withheld. */
export async function startDeviceCare(
  config: Config,
  world: World,
  machines: Machines,
  watch: DeviceWatch,
): Promise<DeviceCare> {
  const { storage, clock, log, metrics, events, instances, power, ports } = world;
  const { scale } = config.timings;
  const poller = new PowerPoller({
    storage,
    clock,
    log,
    metrics,
    events,
    watch,
    read: (machine, signal) => power.poll(machine, signal),
    holds: (id) => instances.machines.keeps(id),
    gone: (id) => void power.release(id),
    settings: pollSettings(milliseconds(config.power.pollInterval / scale)),
  });
  power.onReached((id) => poller.answered(id));
  await poller.start();
  const settings = scaledQuarantine(config.quarantine, scale);
  const checks = new DeviceChecks({ storage, clock, log, ports, watch, settings });
  checks.start();
  events.on('power', () => metrics.powerOutOfBand.inc());
  const quarantines = new Quarantines({
    world,
    machines,
    switchTypes,
    onLifted: (subject) => {
      watch.forgive(subject);
      if (subject.kind === 'bmc') poller.answered(subject.name as MachineId);
    },
  });
  return {
    poller,
    quarantines,
    stop: async () => {
      await Promise.all([poller.stop(), checks.stop()]);
    },
  };
}

/** Removes what need not be remembered any longer; not started yet. */
export function createPruner(config: Config, { storage, clock, log, metrics, instances }: World): Pruner {
  const { interval, ...retention } = config.retention;
  return new Pruner({
    storage,
    clock,
    log,
    metrics,
    retention,
    interval,
    mayRun: () => instances.leads('prune'),
  });
}
