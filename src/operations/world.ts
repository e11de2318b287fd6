import type { Clock, DeployEngine } from '../../plugin-api/index.ts';
import type { Storage } from '../core/storage/storage.ts';
import type { EventBus } from '../kernel/events/event-bus.ts';
import type { Log } from '../kernel/log/log.ts';
import type { Metrics } from '../kernel/metrics/metrics.ts';
import type { BootConversationService } from './boot/boot-conversations.ts';
import type { Instances } from './instances/instances.ts';
import type { OperationEvents } from './operation-events.ts';
import type { PortService } from './ports/port-service.ts';
import type { PowerService } from './power/power-service.ts';
import type { EventNotes } from './timeline/event-notes.ts';
import type { Timings } from './timings.ts';

/** All that operations act through. */
export interface World {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Timings;
  /** This process among those on the database. */
  readonly instances: Instances;
  readonly power: PowerService;
  readonly ports: PortService;
  readonly boots: BootConversationService;
  /** @throws ServiceError `internal.bug` for an engine that is not configured. */
  engine(type: string): DeployEngine;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly events: EventBus<OperationEvents>;
  /** For what has no unit of work of its own; everything else is recorded in the unit that it is about. */
  readonly timeline: EventNotes;
}
