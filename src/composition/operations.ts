import { join } from 'node:path';
import { milliseconds } from '../../plugin-api/index.ts';
import type { Storage } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { EventBus } from '../kernel/events/event-bus.ts';
import type { Instances } from '../operations/instances/instances.ts';
import type { ExecutionHooks } from '../operations/journal/execution.ts';
import type { OperationEvents } from '../operations/operation-events.ts';
import { Operations } from '../operations/operations.ts';
import { PortService } from '../operations/ports/port-service.ts';
import { FarPower } from '../operations/power/far-power.ts';
import { PowerService } from '../operations/power/power-service.ts';
import { DeviceWatch } from '../operations/quarantine/device-watch.ts';
import { scaledQuarantine } from '../operations/quarantine/quarantine-settings.ts';
import { HistoryFile } from '../operations/restore/history-file.ts';
import { defaultLookInterval, RestoreMode } from '../operations/restore/restore-mode.ts';
import type { SurroundingsCheck } from '../operations/survey/surroundings.ts';
import { Survey } from '../operations/survey/survey.ts';
import { EventNotes } from '../operations/timeline/event-notes.ts';
import { NotesFiles } from '../operations/timeline/notes-files.ts';
import type { World } from '../operations/world.ts';
import type { Base } from './base.ts';
import type { Devices } from './devices.ts';

/** What the doors ask, and what it acts through. */
export interface Acting {
  readonly world: World;
  readonly operations: Operations;
  readonly survey: Survey;
  /** What the survey looks at besides machines and switches: filled when everything is open. */
  readonly surroundings: SurroundingsCheck[];
  readonly restore: RestoreMode;
  readonly farPower: FarPower;
  readonly watch: DeviceWatch;
}

/** Nothing is begun: see `RestoreMode.begin` and `Operations.recover`. */
export function createOperations(
  { config, timings, clock, log, metrics }: Base,
  storage: Storage,
  instances: Instances,
  { power, switches, boots, engines }: Devices,
  hooks: ExecutionHooks | undefined,
): Acting {
  const events = new EventBus<OperationEvents>();
  const timeline = new EventNotes({
    storage,
    clock,
    log,
    metrics,
    files: new NotesFiles(join(config.stateDir, 'timeline')),
  });
  const settings = scaledQuarantine(config.quarantine, config.timings.scale);
  const watch = new DeviceWatch({ storage, clock, log, metrics, settings });
  const mayWrite = (): void => restore.refuse();
  const farPower = new FarPower({
    storage,
    clock,
    instances,
    patience: milliseconds(2 * timings.leaseTtl),
    read: (machine, signal) => world.power.look(machine, signal),
  });
  const world: World = {
    storage,
    clock,
    timings,
    instances,
    log,
    metrics,
    events,
    timeline,
    boots,
    power: new PowerService({
      far: farPower,
      drivers: power,
      storage,
      clock,
      timings,
      log,
      events,
      makeWay: milliseconds(500),
      watch,
      timeline,
      mayWrite,
    }),
    ports: new PortService(switches, {
      storage,
      clock,
      timings,
      instances,
      log,
      metrics,
      watch,
      mayWrite,
    }),
    engine: (type) => {
      const engine = engines.get(type);
      if (engine) return engine;
      throw new ServiceError({ code: 'config.invalid', what: `there is no deploy engine "${type}"` });
    },
  };
  const surroundings: SurroundingsCheck[] = [];
  const survey = new Survey({
    storage,
    clock,
    timings,
    reader: {
      power: async (machine, signal) => {
        try {
          return await world.power.look(machine, signal);
        } finally {
          // A session is kept only by the one whose machine it is.
          if (!instances.machines.holds(machine.id)) await world.power.release(machine.id);
        }
      },
      ports: (name, ports) => world.ports.read(name, ports),
    },
    limits: config.survey,
    checks: surroundings,
    others: () => instances.living.filter(({ id }) => id !== instances.id).map(({ name }) => name),
  });
  const restore: RestoreMode = new RestoreMode({
    storage,
    clock,
    log,
    metrics,
    events,
    boots,
    survey,
    file: new HistoryFile(join(config.stateDir, 'history')),
    lookInterval: defaultLookInterval,
  });
  const operations = new Operations(world, {
    defaultGrade: config.erase.defaultGrade,
    restore,
    ...(hooks && { hooks }),
  });
  return { world, operations, survey, surroundings, restore, farPower, watch };
}
