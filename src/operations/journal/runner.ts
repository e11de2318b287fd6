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
  readonly #owner: string;
  readonly #hooks: ExecutionHooks;
  readonly #running = new Map<string, { readonly execution: Execution; readonly over: Promise<void> }>();
  readonly #waiters = new Map<string, Deferred<OperationRecord>>();
  readonly #stop = new AbortController();

  constructor(world: World, lists: StepLists, owner: string, hooks: ExecutionHooks = {}) {
    this.#world = world;
    this.#lists = lists;
    this.#owner = owner;
    this.#hooks = hooks;
    world.events.on('wake', ({ operationId }) => this.#running.get(operationId)?.execution.wake());
    world.events.on('operation', (operation) => {
      if (operation.endedAt !== null) this.#waiters.get(operation.id)?.resolve(operation);
    });
  }

  get owner(): string {
    return this.#owner;
  }

  /** How many operations this process carries out now. */
  get active(): number {
    return this.#running.size;
  }

  /** Begins or goes on with an operation whose lease this process holds. */
  launch(operation: OperationRecord): void {
    if (this.#running.has(operation.id) || this.#stop.signal.aborted) return;
    const list = this.#lists.of(operation);
    const execution = new Execution(this.#world, list, operation, this.#hooks);
    const over = execution.run();
    this.#running.set(operation.id, { execution, over });
    void over
      .catch((thrown: unknown) => this.#relaunchLater(operation.id, thrown))
      .finally(() => this.#running.delete(operation.id));
  }

  /** The journal could not be written, say because the disk is full: go on from what it says once it can be read again. */
  #relaunchLater(id: string, thrown: unknown): void {
    const { clock, log, storage, timings } = this.#world;
    log.error({ operation: id, err: thrown }, 'operation interrupted; it goes on from its journal');
    const again = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(timings.retryDelay, this.#stop.signal);
        try {
          const operation = await storage.run((tx) => tx.journal.find(id));
          if (operation?.endedAt === null && operation.leaseOwner === this.#owner) this.launch(operation);
          return;
        } catch (error) {
          log.error({ operation: id, error: asCodedError(error).message }, 'the journal cannot be read yet');
        }
      }
    };
    again().catch(() => undefined);
  }

  /** Takes over every active operation. With one process per database their former holder is dead. */
  async recover(): Promise<number> {
    const { storage, log } = this.#world;
    const active = await storage.run((tx) => tx.journal.listActive());
    let taken = 0;
    for (const operation of active) {
      const mine = await storage.run((tx) =>
        tx.journal.takeLease(operation.id, this.#owner, operation.fence),
      );
      if (!mine) continue;
      taken += 1;
      log.info(
        { operation: mine.id, kind: mine.kind, machine: mine.machineId, state: mine.state },
        'operation taken over',
      );
      this.launch(mine);
    }
    return taken;
  }

  /** Resolves with the ended operation, however it ended. */
  async ended(id: string): Promise<OperationRecord> {
    const waiter = this.#waiters.get(id) ?? new Deferred<OperationRecord>();
    this.#waiters.set(id, waiter);
    try {
      // Asked after the waiter is in place, so that an end in between is not missed.
      const now = await this.#world.storage.run((tx) => tx.journal.find(id));
      if (!now) throw new ServiceError({ code: 'request.not-found', what: `there is no operation ${id}` });
      if (now.endedAt !== null) return now;
      return await waiter.promise;
    } finally {
      this.#waiters.delete(id);
      waiter.promise.catch(() => undefined);
    }
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
    for (const waiter of this.#waiters.values()) {
      waiter.reject(
        new ServiceError({
          code: 'store.unavailable',
          what: 'the service is stopping; the operation goes on when it is back',
        }),
      );
    }
  }
}
