import { milliseconds, minutes, seconds } from '../../../plugin-api/index.ts';
import type { Asker, Role } from '../../../src/core/access/principal.ts';
import type { Machine } from '../../../src/core/machine/machine.ts';
import type { Storage } from '../../../src/core/storage/storage.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../../src/kernel/events/event-bus.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import { Allocations } from '../../../src/operations/allocations.ts';
import type { OperationEvents } from '../../../src/operations/operation-events.ts';
import { Operations } from '../../../src/operations/operations.ts';
import { Pools } from '../../../src/operations/pools.ts';
import { Profiles } from '../../../src/operations/profiles.ts';
import type { Instances } from '../../../src/operations/instances/instances.ts';
import { EventNotes } from '../../../src/operations/timeline/event-notes.ts';
import type { World } from '../../../src/operations/world.ts';
import { machine } from '../../store/samples.ts';
import { soleInstance } from '../../support/sole-instance.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

export const by = (principal: string, role: Role = 'user', scope = '*'): Asker => ({
  principal,
  role,
  scope,
  door: 'test',
  reason: 'a test',
});

/** Users' operations over a real storage, with nothing behind it: what would touch a device fails. */
export class UserWorld {
  readonly temp: TempStorage;
  readonly operations: Operations;
  readonly allocations: Allocations;
  readonly pools: Pools;
  readonly profiles: Profiles;
  readonly timeline: EventNotes;
  readonly events = new EventBus<OperationEvents>();

  /**
   * @param through what the operations see of the storage
   * @param instances where there may be several
   */
  static async open(
    through: (storage: Storage) => Storage = (storage) => storage,
    instances?: (storage: Storage) => Instances,
  ): Promise<UserWorld> {
    return new UserWorld(await tempStorage(), through, instances);
  }

  private constructor(
    temp: TempStorage,
    through: (storage: Storage) => Storage,
    instances?: (storage: Storage) => Instances,
  ) {
    this.temp = temp;
    const storage = through(temp.storage);
    this.timeline = new EventNotes({
      storage,
      clock: new SystemClock(),
      log: createLog({ level: 'silent' }),
      metrics: new Metrics(),
    });
    const long = minutes(5);
    const clock = new SystemClock();
    const log = createLog({ level: 'silent' });
    const world = {
      storage,
      clock,
      instances: instances?.(storage) ?? soleInstance(storage, clock, log),
      events: this.events,
      timeline: this.timeline,
      log,
      metrics: new Metrics(),
      timings: {
        startDeadline: long,
        stopDeadline: long,
        destroyDeadline: long,
        commission: long,
        erase: long,
        deploy: long,
        undoBudget: seconds(10),
        leaseHeartbeat: long,
        retryDelay: milliseconds(50),
        switchBatch: long,
      },
      engine: () => ({
        powerBy: { commission: 'ours', deploy: 'ours', erase: 'ours' },
        images: async () => [],
      }),
    } as unknown as World;
    this.operations = new Operations(world, { defaultGrade: 'full' });
    this.pools = new Pools(storage);
    this.profiles = new Profiles(storage);
    this.allocations = new Allocations(world, this.operations, this.pools);
  }

  /** A machine that is ready, and stands in no CloudStack unless said so. */
  async add(n: number, more: Partial<Machine> = {}): Promise<Machine> {
    const added = machine(n, { cloudPlace: null, quarantine: null, ...more });
    await this.temp.storage.run((tx) => tx.machines.insert(added));
    return added;
  }

  async close(): Promise<void> {
    await this.operations.stop();
    await this.timeline.close();
    await this.temp.close();
  }
}
