import type { Clock } from '../../../plugin-api/index.ts';
import type { LivingInstance } from '../../core/storage/instance-records.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Timings } from '../timings.ts';
import { currentProcess, isProvablyDead } from './process-identity.ts';

export interface MembershipParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Pick<Timings, 'leaseTtl' | 'leaseHeartbeat'>;
  readonly log: Log;
  /** Unique among all instances that ever were. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly version: string;
  /** Whether other processes may be on the database; where none can, nothing is counted and nothing expires. */
  readonly shared: boolean;
}

/** Part of a lease after which its own holder does not count on it any more: the rest is for what is on its way to a device. */
const trusted = 0.8;
/** How long an instance that ended is kept, for people. */
const remembered = 24 * 60 * 60 * 1_000;

/** The beat of an instance, and since when it stands still by our own clock. */
interface Observed {
  readonly beat: number;
  readonly since: number;
}

/** An instance that has beaten after it was seen silent: it is not declared gone. */
class BeatenSince extends Error {}

/**
 * This process among those on the database: it says again and again that it is alive, sees who else is, and declares gone who
 * is silent for a lease's time. Time is each one's own monotonic clock: a clock that is set changes nothing.
 */
export class Membership {
  readonly id: string;
  readonly #parts: MembershipParts;
  readonly #observed = new Map<string, Observed>();
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #fresh = new Set<() => void>();
  #living: readonly LivingInstance[] = [];
  #lastBeat = Number.NEGATIVE_INFINITY;
  #lastLook = Number.NEGATIVE_INFINITY;
  #ended: ServiceError | null = null;
  #draining = false;
  #leaving = false;
  #tellGone!: (error: ServiceError) => void;
  /** Resolves when the others have declared this instance gone: the process is to end. */
  readonly gone: Promise<ServiceError>;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.gone = new Promise((resolve) => {
      this.#tellGone = resolve;
    });
  }

  /** Comes in. Who is known to be dead is declared gone at once. */
  async join(): Promise<void> {
    const { storage, clock, shared, log, name, version } = this.#parts;
    const began = clock.monotonic();
    const process = currentProcess();
    const dead = await storage.run(async (tx) => {
      const living = await tx.instances.living();
      // Where one process has the database to itself, nobody else can be alive.
      const known = living.filter((other) => !shared || isProvablyDead(other.process));
      for (const { id } of known) await this.#bury(tx, id, null, 'its process had ended');
      await tx.instances.forget(clock.now() - remembered);
      const startedAt = clock.now();
      const none = { adminUrl: null, endedAt: null, reason: null };
      await tx.instances.insert({ id: this.id, name, version, process, state: 'alive', startedAt, ...none });
      return known;
    });
    for (const other of dead) log.info({ instance: other.name }, 'what an ended instance left is taken over');
    this.#lastBeat = began;
    if (!shared) return;
    await this.#look(began);
    this.#loop = this.#run();
  }

  /** Tells where its admin API is reached. */
  announce(adminUrl: string): Promise<void> {
    return this.#parts.storage.run((tx) => tx.instances.announce(this.id, adminUrl));
  }

  /** Everybody who was not gone at the last look, itself too. */
  get living(): readonly LivingInstance[] {
    return this.#living;
  }

  /** Who takes work, by id. */
  get workers(): readonly string[] {
    return this.#living
      .filter(({ id, state }) => state === 'alive' && !(this.#draining && id === this.id))
      .map(({ id }) => id);
  }

  get alone(): boolean {
    return this.#living.every(({ id }) => id === this.id);
  }

  /** Calls `listener` when somebody came, went, or began to drain. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * To be asked right before anything is sent to a device: throws where the others may have taken over already.
   * @throws ServiceError `instance.silent`, `instance.gone`
   */
  assertCurrent(): void {
    const { shared, clock, timings } = this.#parts;
    if (!shared) return;
    if (this.#ended) throw this.#ended;
    const silent = clock.monotonic() - this.#lastBeat;
    if (silent < timings.leaseTtl * trusted) return;
    throw new ServiceError({
      code: 'instance.silent',
      what: `for ${Math.round(silent / 100) / 10} s nothing was stored that says that this instance is alive`,
      where: this.#parts.name,
    });
  }

  /** Resolves once it is certain that nobody has taken over: at once as a rule. @throws ServiceError `instance.gone` */
  async current(signal?: AbortSignal): Promise<void> {
    for (;;) {
      try {
        this.assertCurrent();
        return;
      } catch (thrown) {
        if (asCodedError(thrown).code !== 'instance.silent') throw thrown;
      }
      await new Promise<void>((resolve, reject) => {
        const over = (): void => {
          this.#fresh.delete(again);
          reject(signal!.reason as Error);
        };
        const again = (): void => {
          this.#fresh.delete(again);
          signal?.removeEventListener('abort', over);
          resolve();
        };
        if (signal?.aborted) return reject(signal.reason as Error);
        this.#fresh.add(again);
        signal?.addEventListener('abort', over, { once: true });
      });
    }
  }

  /** Takes no more work. Where the others cannot be told, they find out by its silence. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#parts.storage
      .run((tx) => tx.instances.drain(this.id))
      .catch((thrown: unknown) => {
        this.#parts.log.warn(
          { error: asCodedError(thrown).message },
          'could not be said that this instance takes no more work',
        );
      });
    this.#living = this.#living.map((one) => (one.id === this.id ? { ...one, state: 'draining' } : one));
  }

  /** Goes, in order: nothing of it is under way any more. */
  async leave(): Promise<void> {
    const { storage } = this.#parts;
    this.#leaving = true;
    this.#stop.abort(new Error('the instance ends'));
    await this.#loop;
    if (this.#ended) return;
    await storage
      .run((tx) => this.#bury(tx, this.id, null, 'stopped', false))
      .catch((thrown: unknown) => {
        this.#parts.log.warn(
          { error: asCodedError(thrown).message },
          'could not be said that this instance ends',
        );
      });
  }

  async #run(): Promise<void> {
    const { clock, timings, log } = this.#parts;
    const { signal } = this.#stop;
    let failing = false;
    for (;;) {
      await clock.sleep(timings.leaseHeartbeat, signal).catch(() => undefined);
      if (this.#leaving) return;
      try {
        await this.#look(clock.monotonic());
        failing = false;
      } catch (thrown) {
        const error = asCodedError(thrown);
        if (error.code === 'instance.gone') {
          this.#end(error.what);
          return;
        }
        if (!failing) log.error({ error: error.message }, 'the heartbeat could not be stored');
        failing = true;
      }
    }
  }

  /** One beat, and a look at the others. `began`: when it was begun, which is never after it is stored. */
  async #look(began: number): Promise<void> {
    const { storage, clock, timings, name } = this.#parts;
    const living = await storage.run(async (tx) => {
      if (!(await tx.instances.beat(this.id)))
        throw new ServiceError({
          code: 'instance.gone',
          what: 'others declared this instance gone',
          where: name,
        });
      return tx.instances.living();
    });
    this.#lastBeat = began;
    for (const again of [...this.#fresh]) again();
    const now = clock.monotonic();
    // Who did not look for a while cannot tell whether the others were silent, or only it was blind.
    if (now - this.#lastLook > timings.leaseTtl / 2) this.#observed.clear();
    this.#lastLook = now;
    this.#see(living);
    const silent = living.filter(
      ({ id }) => id !== this.id && now - this.#observed.get(id)!.since >= timings.leaseTtl,
    );
    for (const other of silent) await this.#declareGone(other);
  }

  #see(living: readonly LivingInstance[]): void {
    const now = this.#parts.clock.monotonic();
    const known = new Set(living.map(({ id }) => id));
    for (const id of this.#observed.keys()) if (!known.has(id)) this.#observed.delete(id);
    for (const { id, beat } of living)
      if (this.#observed.get(id)?.beat !== beat) this.#observed.set(id, { beat, since: now });
    const changed = keyOf(living) !== keyOf(this.#living);
    this.#living = living;
    if (changed) for (const listener of this.#listeners) listener();
  }

  async #declareGone(other: LivingInstance): Promise<void> {
    const { storage, log, timings } = this.#parts;
    const silence = `silent for ${Math.round(timings.leaseTtl / 100) / 10} s`;
    try {
      const declared = await storage.run((tx) => this.#bury(tx, other.id, other.beat, silence));
      if (declared)
        log.warn(
          { instance: other.name, last: other.beat },
          'another instance is silent: its work is taken over',
        );
    } catch (thrown) {
      if (!(thrown instanceof BeatenSince)) throw thrown;
    }
    this.#see(this.#living.filter(({ id }) => id !== other.id));
  }

  /** Gone, and everything that it had is free. False = it is so already. */
  async #bury(tx: Tx, id: string, beat: number | null, reason: string, lost = true): Promise<boolean> {
    const there = (await tx.instances.find(id))?.state !== 'gone';
    if (!there) return false;
    if (!(await tx.instances.end(id, beat, this.#parts.clock.now(), reason))) {
      // Whatever its beat is: only another one that has just declared it gone keeps it from being ended.
      if (beat === null) return false;
      throw new BeatenSince(id);
    }
    await tx.leases.releaseAll(id, lost);
    await tx.deviceRequests.deleteOf(id);
    return true;
  }

  #end(said: string): void {
    this.#ended ??= new ServiceError({
      code: 'instance.gone',
      what: 'the other instances took this one for dead and took its work over',
      where: this.#parts.name,
      said,
    });
    for (const again of [...this.#fresh]) again();
    this.#tellGone(this.#ended);
  }
}

const keyOf = (living: readonly LivingInstance[]): string =>
  living.map(({ id, state }) => `${id} ${state}`).join('\n');
