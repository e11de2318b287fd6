import type { Clock } from '../../../plugin-api/index.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { asCodedError, type ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Timings } from '../timings.ts';
import { MachineLeases } from './machine-leases.ts';
import { Membership } from './membership.ts';

export interface InstancesParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Pick<Timings, 'leaseTtl' | 'leaseHeartbeat' | 'instanceLook'>;
  readonly log: Log;
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly shared: boolean;
}

/** So many looks pass before all machines are looked at again, where something was left or may have been missed. */
const looksPerReview = 20;

/**
 * This process among the others on the database: which machines are its own, what runs once in all of them, and how it hears
 * what the others ask of it. Where nobody else can be there, everything is its own, and nothing is ever asked of the database.
 */
export class Instances {
  readonly #parts: InstancesParts;
  readonly #membership: Membership;
  readonly machines: MachineLeases;
  readonly #looks: (() => Promise<void>)[] = [];
  readonly #singles = new Map<string, boolean>();
  #leaving = false;
  #again: (() => void) | null = null;
  #woken = false;
  #reviewDue = true;
  /** Whether the last review left nothing to be done later. */
  #settled = true;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: InstancesParts) {
    this.#parts = parts;
    this.#membership = new Membership(parts);
    this.machines = new MachineLeases({ ...parts, membership: this.#membership });
    this.#membership.onChange(() => {
      this.#reviewDue = true;
      this.wake();
    });
  }

  get id(): string {
    return this.#parts.id;
  }

  /** Whether others may be there. */
  get shared(): boolean {
    return this.#parts.shared;
  }

  /** Everybody who is not gone. */
  get living(): Membership['living'] {
    return this.#membership.living;
  }

  /** Resolves when the others have declared this one gone. */
  get gone(): Promise<ServiceError> {
    return this.#membership.gone;
  }

  /** See `Membership.assertCurrent`: before each thing that changes a device. */
  assertCurrent(): void {
    this.#membership.assertCurrent();
  }

  current(signal?: AbortSignal): Promise<void> {
    return this.#membership.current(signal);
  }

  /** Comes in among the others. Nothing may be begun before. */
  join(): Promise<void> {
    return this.#membership.join();
  }

  announce(adminUrl: string): Promise<void> {
    return this.#membership.announce(adminUrl);
  }

  /** Asks for being the one that does what runs once. */
  lead(name: string): void {
    this.#singles.set(name, false);
  }

  /** Whether it is this instance that does what runs once. */
  leads(name: string): boolean {
    return !this.#parts.shared || this.#singles.get(name) === true;
  }

  /** Calls `look` again and again: what others may have left for this instance in the database. */
  onLook(look: () => Promise<void>): void {
    this.#looks.push(look);
  }

  /** Looks now instead of in a while. */
  wake(): void {
    this.#woken = true;
    this.#again?.();
  }

  /** Takes its share of the work. */
  async start(): Promise<void> {
    if (!this.#parts.shared) return;
    await this.#lookOnce();
  }

  /** From now on takes what becomes free, and sees what is asked of it. */
  watch(): void {
    if (this.#parts.shared) this.#loop = this.#run();
  }

  /** Takes no more work; what it has goes on until it is given back. */
  drain(): Promise<void> {
    return this.#parts.shared ? this.#membership.drain() : Promise.resolve();
  }

  /** Gives everything back and goes. */
  async leave(): Promise<void> {
    this.#leaving = true;
    this.wake();
    await this.#loop;
    await this.#membership.leave();
  }

  async #run(): Promise<void> {
    const { log } = this.#parts;
    for (let looks = 1; ; looks += 1) {
      await this.#pause();
      if (this.#leaving) return;
      if (looks % looksPerReview === 0) this.#reviewDue ||= this.#membership.alone || !this.#settled;
      try {
        await this.#lookOnce();
      } catch (thrown) {
        const error = asCodedError(thrown);
        if (error.code !== 'instance.gone')
          log.error({ error: error.message }, 'what others left for this instance could not be read');
      }
    }
  }

  async #lookOnce(): Promise<void> {
    await this.machines.takeFree();
    if (this.#reviewDue || this.machines.doubtful) {
      this.#reviewDue = false;
      this.#settled = false;
      this.#settled = await this.machines.review();
    }
    await this.#takeSingles();
    for (const look of this.#looks) await look();
  }

  async #takeSingles(): Promise<void> {
    const { storage, id } = this.#parts;
    for (const [single, led] of this.#singles) {
      if (led || !this.#membership.workers.includes(id)) continue;
      const name = `single:${single}`;
      const ours = await storage.run(async (tx) => {
        const lease = await tx.leases.find(name);
        if (!lease) await tx.leases.insert([{ name, kind: 'single', owner: id, lost: false, notes: 0 }]);
        // Ours already: it was taken, and the answer to that was lost.
        if (lease === null || lease.owner === id) return true;
        return lease.owner === null && (await tx.leases.take([name], id)).length === 1;
      });
      if (ours) this.#singles.set(single, true);
    }
  }

  /** With nobody else there, only what was missed could be found. */
  async #pause(): Promise<void> {
    const { clock, timings } = this.#parts;
    if (!this.#woken) {
      const woken = new AbortController();
      this.#again = (): void => woken.abort(new Error('woken'));
      const pause = this.#membership.alone ? timings.leaseHeartbeat : timings.instanceLook;
      await clock.sleep(pause, woken.signal).catch(() => undefined);
      this.#again = null;
    }
    this.#woken = false;
  }
}
