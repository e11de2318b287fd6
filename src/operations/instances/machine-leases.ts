import type { MachineId } from '../../core/machine/machine.ts';
import type { OperationRecord } from '../../core/storage/journal-records.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Membership } from './membership.ts';
import { rendezvous } from './rendezvous.ts';

/** What follows the leases on machines: operations, power readings, links. */
export interface MachineTenant {
  /** These are ours now, with the operations that others left there. */
  gained(ids: readonly MachineId[], operations: readonly OperationRecord[]): void;
  /** Another instance is to have it: whatever is kept up for it ends now, and is not begun again. */
  leaving(id: MachineId): Promise<void>;
  /** It stays after all. */
  kept(id: MachineId): void;
}

export interface MachineLeasesParts {
  readonly storage: Storage;
  readonly log: Log;
  readonly membership: Membership;
  readonly shared: boolean;
}

/** Leases that are changed in one unit of work. */
const atOnce = 200;

/**
 * Which machines are this instance's. A lease is only ever given back or freed at an instance's end, so that what is held is
 * known without asking, as long as the instance is not gone.
 */
export class MachineLeases {
  readonly #parts: MachineLeasesParts;
  readonly #held = new Set<MachineId>();
  readonly #leaving = new Set<MachineId>();
  #doubtful = false;
  #tenant: MachineTenant = {
    gained: () => undefined,
    leaving: () => Promise.resolve(),
    kept: () => undefined,
  };

  constructor(parts: MachineLeasesParts) {
    this.#parts = parts;
  }

  setTenant(tenant: MachineTenant): void {
    this.#tenant = tenant;
  }

  /** Whether operations on the machine are carried out here. */
  holds(id: MachineId): boolean {
    return !this.#parts.shared || this.#held.has(id);
  }

  /** The same, unless the machine is about to be given away: nothing that lasts is begun. */
  keeps(id: MachineId): boolean {
    return this.holds(id) && !this.#leaving.has(id);
  }

  /**
   * Inside the unit of work that begins an operation: which instance is to carry it out. Where nobody has the machine, this one
   * takes it, if it takes work; null = whoever takes the machine takes the operation with it.
   */
  async holderFor(tx: Tx, id: MachineId): Promise<string | null> {
    const { shared, membership } = this.#parts;
    if (!shared) return membership.id;
    const lease = await tx.leases.find(leaseName(id), { lock: true });
    if (lease?.owner) return lease.owner;
    if (!this.#takesWork) return null;
    if (lease) await tx.leases.take([lease.name], membership.id);
    else await tx.leases.insert([newLease(id, membership.id)]);
    return membership.id;
  }

  /** Inside a unit of work that claims the machine: nobody begins an operation there before it ends. */
  async alone(tx: Tx, id: MachineId): Promise<void> {
    if (this.#parts.shared) await tx.leases.find(leaseName(id), { lock: true });
  }

  /** After such a unit of work: the machine may have become ours. */
  took(id: MachineId): void {
    if (!this.#parts.shared || this.#held.has(id)) return;
    this.#held.add(id);
    this.#tenant.gained([id], []);
  }

  /** The database did not say whether a lease was taken or given back: `review` finds what it says now. */
  doubt(): void {
    this.#doubtful = true;
  }

  get doubtful(): boolean {
    return this.#doubtful;
  }

  /**
   * Looks at all machines: makes leases that are missing, finds those that are ours by what the database says, and gives away those
   * that others should have. False = some stay for now, because operations run there.
   */
  async review(): Promise<boolean> {
    const { membership } = this.#parts;
    if (!this.#parts.shared) return true;
    const doubtful = this.#doubtful;
    this.#doubtful = false;
    const { made, found, orphans } = await this.#orDoubt(async (tx) => {
      const ids = new Set((await tx.machines.places()).map(({ id }) => id));
      const leases = await tx.leases.ofKind('machine');
      const known = new Set(leases.map(({ name }) => name));
      const made = [...ids].filter((id) => !known.has(leaseName(id)) && this.#shouldBeOurs(id));
      await tx.leases.insert(made.map((id) => newLease(id, membership.id)));
      const found = leases
        .filter(({ owner }) => owner === membership.id && this.#takesWork)
        .map(({ name }) => machineOf(name))
        .filter((id) => !this.#held.has(id) && !this.#leaving.has(id));
      const orphans = [...this.#held].filter((id) => !ids.has(id));
      return { made, found, orphans };
    }, doubtful);
    // Operations that were begun there are found by who carries them out.
    this.#gain([...made, ...found.filter((id) => !this.#held.has(id))], []);
    for (const id of orphans) await this.#drop(id);
    const others = [...this.#held].filter((id) => !this.#shouldBeOurs(id));
    const lane = new Semaphore(20);
    await Promise.all(others.map((id) => lane.run(() => this.#giveAway(id))));
    return others.every((id) => !this.#held.has(id));
  }

  /** Takes what is free and should be ours, with the operations that are there. */
  async takeFree(): Promise<void> {
    const { storage, membership, shared } = this.#parts;
    if (!shared || !this.#takesWork) return;
    const free = await storage.run((tx) => tx.leases.free('machine'));
    const ours = free.map(({ name }) => machineOf(name)).filter((id) => this.#shouldBeOurs(id));
    for (let from = 0; from < ours.length; from += atOnce) {
      const wanted = ours.slice(from, from + atOnce);
      const { ids, operations } = await this.#orDoubt(async (tx) => {
        const taken = await tx.leases.take(wanted.map(leaseName), membership.id);
        const ids = taken.map(({ name }) => machineOf(name));
        const operations: OperationRecord[] = [];
        for (const { id, fence } of ids.length > 0 ? await tx.journal.activeOfMachines(ids) : []) {
          const operation = await tx.journal.takeLease(id, membership.id, fence);
          if (operation) operations.push(operation);
        }
        return { ids, operations };
      });
      this.#gain(ids, operations);
    }
  }

  /** A machine was enrolled, described anew or forgotten here: its holder is to know. True = it is to be taken. */
  async changed(id: MachineId): Promise<boolean> {
    const { storage, shared } = this.#parts;
    if (!shared || this.#held.has(id)) return false;
    return storage.run(async (tx) => {
      const lease = await tx.leases.find(leaseName(id));
      if (lease) await tx.leases.note(lease.name);
      else if (await tx.machines.find(id)) await tx.leases.insert([newLease(id, null)]);
      return lease === null;
    });
  }

  /** What others left notes about. */
  async noted(): Promise<readonly MachineId[]> {
    const { storage, membership } = this.#parts;
    const notes = await storage.run((tx) => tx.leases.noted(membership.id));
    for (const lease of notes) await storage.run((tx) => tx.leases.heard(lease));
    return notes.map(({ name }) => machineOf(name));
  }

  /** Gives all of them back, whatever runs there: whoever takes a machine goes on with it. */
  async releaseAll(): Promise<void> {
    if (!this.#parts.shared) return;
    const { storage, membership, log } = this.#parts;
    const ids = [...this.#held];
    for (const id of ids) this.#leaving.add(id);
    const lane = new Semaphore(50);
    await Promise.all(ids.map((id) => lane.run(() => this.#tenant.leaving(id))));
    for (let from = 0; from < ids.length; from += atOnce) {
      const names = ids.slice(from, from + atOnce).map(leaseName);
      await storage
        .run((tx) => tx.leases.release(names, membership.id))
        .catch((thrown: unknown) =>
          log.warn(
            { error: asCodedError(thrown).message },
            'machines are free only when this instance is gone',
          ),
        );
    }
    this.#held.clear();
  }

  /** Of a unit of work that takes leases or gives one back. @param before whether there was a doubt that it would have ended */
  async #orDoubt<T>(work: (tx: Tx) => Promise<T>, before = false): Promise<T> {
    try {
      return await this.#parts.storage.run(work);
    } catch (thrown) {
      if (before || isUnknown(thrown)) this.doubt();
      throw thrown;
    }
  }

  get #takesWork(): boolean {
    const { membership } = this.#parts;
    return membership.workers.includes(membership.id);
  }

  #shouldBeOurs(id: MachineId): boolean {
    const { membership } = this.#parts;
    return rendezvous(leaseName(id), membership.workers) === membership.id;
  }

  #gain(ids: readonly MachineId[], operations: readonly OperationRecord[]): void {
    if (ids.length === 0) return;
    for (const id of ids) this.#held.add(id);
    this.#parts.log.debug({ machines: ids.length, operations: operations.length }, 'machines taken');
    this.#tenant.gained(ids, operations);
  }

  async #drop(id: MachineId): Promise<void> {
    this.#held.delete(id);
    await this.#parts.storage.run((tx) => tx.leases.delete([leaseName(id)]));
  }

  /** A machine on which an operation runs stays until that has ended. */
  async #giveAway(id: MachineId): Promise<void> {
    const { storage, membership } = this.#parts;
    if (this.#leaving.has(id) || (await storage.run((tx) => tx.journal.active(id)))) return;
    this.#leaving.add(id);
    try {
      await this.#tenant.leaving(id);
      const given = await this.#orDoubt(async (tx) => {
        // Locked first: who begins an operation locks it too.
        await tx.leases.find(leaseName(id), { lock: true });
        if (await tx.journal.active(id)) return false;
        await tx.leases.release([leaseName(id)], membership.id);
        return true;
      });
      if (given) this.#held.delete(id);
    } catch (thrown) {
      // It may be another's by now: where it is not, it is found again.
      if (isUnknown(thrown)) this.#held.delete(id);
      throw thrown;
    } finally {
      this.#leaving.delete(id);
      if (this.#held.has(id)) this.#tenant.kept(id);
    }
  }
}

const isUnknown = (thrown: unknown): boolean => asCodedError(thrown).code === 'store.outcome-unknown';
const prefix = 'machine:';
const leaseName = (id: MachineId): string => `${prefix}${id}`;
const machineOf = (name: string): MachineId => name.slice(prefix.length) as MachineId;
const newLease = (id: MachineId, owner: string | null) =>
  ({ name: leaseName(id), kind: 'machine', owner, lost: false, notes: 0 }) as const;
