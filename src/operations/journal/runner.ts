import type { Duration } from '../../../plugin-api/index.ts';
import type { OperationRecord } from '../../core/storage/journal-records.ts';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { World } from '../world.ts';
import { Execution, type ExecutionHooks } from './execution.ts';
import type { StepLists } from './step-lists.ts';

/** Carries out operations in this process, several at once, and takes over what an earlier process left. */
export class Runner {
  readonly #world: World;
  readonly #lists: StepLists;
  readonly #hooks: ExecutionHooks;
  readonly #running = new Map<string, { readonly execution: Execution; readonly over: Promise<void> }>();
  /** Who waits for an operation's end, each with a promise of its own. */
  readonly #waiters = new Map<string, Set<Deferred<OperationRecord>>>();
  /** Those that go on from their journal in a while. */
  readonly #interrupted = new Set<string>();
  readonly #stop = new AbortController();
  #leaving = false;

  constructor(world: World, lists: StepLists, hooks: ExecutionHooks = {}) {
    this.#world = world;
    this.#lists = lists;
    this.#hooks = hooks;
    world.events.on('wake', ({ operationId }) => this.#running.get(operationId)?.execution.wake());
    world.events.on('operation', (operation) => {
      if (operation.endedAt !== null) this.#tellEnded(operation);
    });
  }

  /** How many operations this process carries out now. */
  get active(): number {
    return this.#running.size;
  }

  /**
   * Begins or goes on with an operation whose lease this process holds.
   * @param isNew it was journaled this moment: none of its steps is
   */
  launch(operation: OperationRecord, { isNew = false } = {}): void {
    if (this.#running.has(operation.id) || this.#leaving || this.#stop.signal.aborted) return;
    const list = this.#lists.of(operation);
    const execution = new Execution(this.#world, list, operation, this.#hooks);
    const over = execution.run({ isNew });
    this.#running.set(operation.id, { execution, over });
    void over
      .catch((thrown: unknown) => this.#relaunchLater(operation.id, thrown))
      .finally(() => this.#running.delete(operation.id));
  }

  /** The journal could not be written, say because the disk is full: go on from what it says once it can be read again. */
  #relaunchLater(id: string, thrown: unknown): void {
    const { clock, events, log, metrics, storage, timings } = this.#world;
    log.error({ operation: id, err: thrown }, 'operation interrupted; it goes on from its journal');
    this.#interrupted.add(id);
    const again = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(timings.retryDelay, this.#stop.signal);
        try {
          const operation = await storage.run((tx) => tx.journal.find(id));
          this.#interrupted.delete(id);
          if (operation?.leaseOwner !== this.#world.instances.id) return;
          if (operation.endedAt === null) this.launch(operation);
          else {
            // Its end was stored, and the answer to that was lost: whoever waits for it is told all the same.
            metrics.operations.inc({ kind: operation.kind, outcome: operation.state });
            events.emit('operation', operation);
          }
          return;
        } catch (error) {
          log.error({ operation: id, error: asCodedError(error).message }, 'the journal cannot be read yet');
        }
      }
    };
    again().catch(() => undefined);
  }

  /** Takes over every active operation: where one process has the database to itself, their former holder is dead. */
  async recover(): Promise<number> {
    const { storage, instances } = this.#world;
    const active = await storage.run((tx) => tx.journal.listActive());
    let taken = 0;
    for (const operation of active) {
      const mine = await storage.run((tx) =>
        tx.journal.takeLease(operation.id, instances.id, operation.fence),
      );
      if (!mine) continue;
      taken += 1;
      this.adopt(mine);
    }
    return taken;
  }

  /** Goes on with an operation whose lease was just taken, or that another instance began for this one. */
  adopt(operation: OperationRecord): void {
    const { id, kind, machineId, state } = operation;
    this.#world.log.info({ operation: id, kind, machine: machineId, state }, 'operation taken over');
    this.#world.events.emit('operation', operation);
    try {
      this.launch(operation);
    } catch (thrown) {
      // A newer version began it, in the middle of an upgrade: it stays for one that knows its steps.
      this.#interrupted.add(id);
      this.#world.log.error({ operation: id, error: asCodedError(thrown).message }, 'operation left alone');
    }
  }

  /** Sees what other instances left in the journal: operations to carry out, cancel requests, ends that are waited for. */
  async look(): Promise<void> {
    const { storage, instances } = this.#world;
    const held = await storage.run((tx) => tx.journal.heldBy(instances.id));
    for (const { id, cancel } of held) {
      const running = this.#running.get(id);
      if (running && cancel) running.execution.cancel(cancel);
      if (running || this.#leaving || this.#interrupted.has(id)) continue;
      const operation = await storage.run((tx) => tx.journal.find(id));
      if (operation?.endedAt === null && operation.leaseOwner === instances.id && !this.#running.has(id))
        this.adopt(operation);
    }
    const awaited = [...this.#waiters.keys()].filter((id) => !this.#running.has(id));
    for (const id of awaited.length > 0 ? await storage.run((tx) => tx.journal.ended(awaited)) : []) {
      const operation = await storage.run((tx) => tx.journal.find(id));
      if (operation) this.#tellEnded(operation);
    }
  }

  /**
   * Begins nothing more, and waits until what runs has ended, or, once half of the time is over, has come to where another
   * process can go on with it.
   */
  async drain(within: Duration): Promise<void> {
    const { clock } = this.#world;
    this.#leaving = true;
    const over = Promise.allSettled([...this.#running.values()].map((one) => one.over));
    for (const handOver of [false, true]) {
      if (handOver) for (const { execution } of this.#running.values()) execution.handOver();
      const timer = new AbortController();
      await Promise.race([over, clock.sleep((within / 2) as Duration, timer.signal).catch(() => undefined)]);
      timer.abort(new Error('over'));
      if (this.#running.size === 0) return;
    }
  }

  /** Resolves with the ended operation, however it ended. */
  async ended(id: string): Promise<OperationRecord> {
    const waiter = new Deferred<OperationRecord>();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(waiter));
    try {
      // Whoever carries it out here will tell.
      if (this.#running.get(id)?.execution.operation.endedAt === null) return await waiter.promise;
      // Asked after the waiter is in place, so that an end in between is not missed.
      const now = await this.#world.storage.run((tx) => tx.journal.find(id));
      if (!now) throw new ServiceError({ code: 'request.not-found', what: `there is no operation ${id}` });
      if (now.endedAt !== null) return now;
      return await waiter.promise;
    } finally {
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
      waiter.promise.catch(() => undefined);
    }
  }

  #tellEnded(operation: OperationRecord): void {
    for (const waiter of this.#waiters.get(operation.id) ?? []) waiter.resolve(operation);
  }

  /** Tells a running operation that its cancellation is journaled. */
  cancel(id: string, request: NonNullable<OperationRecord['cancel']>): void {
    this.#running.get(id)?.execution.cancel(request);
  }

  /** Stops carrying out, without ending anything: what is active stays so in the journal. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopping'));
    const running = [...this.#running.values()];
    for (const { execution } of running) execution.abandon();
    await Promise.allSettled(running.map(({ over }) => over));
    for (const waiter of [...this.#waiters.values()].flatMap((waiters) => [...waiters])) {
      waiter.reject(
        new ServiceError({
          code: 'instance.stopping',
          what: 'the service is stopping; the operation goes on at another instance, or when it is back',
        }),
      );
    }
  }
}
