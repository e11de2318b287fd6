import { milliseconds } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../../src/core/machine/machine.ts';
import type { OperationRecord } from '../../../src/core/storage/journal-records.ts';
import type { Storage } from '../../../src/core/storage/storage.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Instances } from '../../../src/operations/instances/instances.ts';
import { until } from '../../support/until.ts';

export const timings = {
  leaseTtl: milliseconds(15_000),
  leaseHeartbeat: milliseconds(3_000),
  instanceLook: milliseconds(250),
};

/** An instance with a clock of its own: one whose clock stands still is frozen. */
export class Member {
  readonly clock = new ManualClock();
  readonly instances: Instances;
  readonly id: string;
  /** Operations that came with machines. */
  readonly adopted: string[] = [];
  /** Machines that it had to let go. */
  readonly left: MachineId[] = [];
  readonly #storage: Storage;

  constructor(id: string, storage: Storage) {
    this.id = id;
    this.#storage = storage;
    const log = createLog({ level: 'silent' });
    this.instances = new Instances({
      ...{ storage, timings, log, id, clock: this.clock, name: id, version: '1', shared: true },
    });
    this.instances.machines.setTenant({
      gained: (_ids, operations: readonly OperationRecord[]) =>
        void this.adopted.push(...operations.map((one) => one.id)),
      leaving: async (machineId) => void this.left.push(machineId),
      kept: () => undefined,
    });
  }

  static async join(id: string, storage: Storage): Promise<Member> {
    const member = new Member(id, storage);
    await member.instances.join();
    await member.instances.start();
    member.instances.watch();
    return member;
  }

  /** Lets a heartbeat's time pass for these, and waits until all of them have beaten. */
  static async beat(...members: readonly Member[]): Promise<void> {
    const before = await Promise.all(members.map((member) => member.beats()));
    await Promise.all(members.map((member) => member.clock.advance(timings.leaseHeartbeat)));
    for (const [i, member] of members.entries()) {
      await until(
        async () => (await member.beats()) !== before[i] || (await member.state()) === 'gone',
        `${member.id} to beat`,
      );
      // The look at the others comes after the beat: until both loops sleep again.
      await until(() => member.clock.sleeping > 1, `${member.id} to look`);
    }
  }

  async beats(): Promise<number | null> {
    const living = await this.#storage.run((tx) => tx.instances.living());
    return living.find(({ id }) => id === this.id)?.beat ?? null;
  }

  async state(): Promise<string | null> {
    return (await this.#storage.run((tx) => tx.instances.find(this.id)))?.state ?? null;
  }
}
