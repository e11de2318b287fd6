import { setMaxListeners } from 'node:events';
import { CodedError, seconds, type Duration, type JsonObject } from '../../../plugin-api/index.ts';
import type { Machine } from '../../core/machine/machine.ts';
import type {
  ErrorRecord,
  OperationRecord,
  StepRecord,
  StepState,
} from '../../core/storage/journal-records.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import { isFenced, quarantine, requireMachine } from '../machine-state.ts';
import type { World } from '../world.ts';
import type { Outcome, Step, StepContext, StepList, StepRun, Undo } from './step.ts';

/** Thrown through an execution that must stop without writing anything more: lease lost, or the service shuts down. */
class Abandoned extends Error {}

class Cancelled extends Error {}

/** A finished step whose record is not written yet: it goes into the transaction of the next intent, or of the end. */
interface Carry {
  readonly record: StepRecord;
  readonly commit?: ((tx: Tx) => Promise<void>) | undefined;
}

/** The machine as it was read with a step's intent, and when, by the monotonic clock. */
interface MachineRead {
  readonly machine: Machine;
  readonly at: number;
}

/** How long what was read with a step's intent is as good as read again: most steps ask for the machine first of all, some several times. */
const stillFresh = seconds(1);

export interface ExecutionHooks {
  /**
   * Called right after an intent is durable (`:intent`) and right after the effect, before its outcome is written
   * (`:effect`): where a crash may cut.
   */
  readonly onBoundary?: ((name: string) => void) | undefined;
}

/**
 * One operation being carried out by this process, from wherever the journal says it stands to its end. It is the only
 * writer of the operation (its fence travels with each write) and of its steps.
 */
export class Execution {
  readonly #world: World;
  readonly #list: StepList;
  readonly #hooks: ExecutionHooks;
  #operation: OperationRecord;
  #steps: StepRecord[] = [];
  /** Aborted for good: lease lost, shutdown. */
  readonly #abandon = new AbortController();
  readonly #cancel = new AbortController();
  #wake: (() => void) | null = null;
  #leaving = false;
  /** The step under way, forward. */
  #current: Step | null = null;
  #deadlineAt = 0;
  #machineRead: MachineRead | null = null;
  /** A progress that is being written. */
  #progressing: Promise<void> | null = null;

  constructor(world: World, list: StepList, operation: OperationRecord, hooks: ExecutionHooks = {}) {
    this.#world = world;
    this.#list = list;
    this.#operation = operation;
    this.#hooks = hooks;
    // Every wait of the operation hangs on these two; they all let go again.
    setMaxListeners(0, this.#abandon.signal, this.#cancel.signal);
    if (operation.cancel) this.#cancel.abort(new Cancelled());
  }

  get operation(): OperationRecord {
    return this.#operation;
  }

  /** Stops without another write: the operation stays active in the journal, for whoever takes it over. */
  abandon(): void {
    this.#abandon.abort(new Abandoned());
  }

  /**
   * Stops where another process can go on best: at the end of the step under way, or at once where that step only waits. The
   * operation stays active in the journal, for whoever takes it over.
   */
  handOver(): void {
    this.#leaving = true;
    const step = this.#current;
    if (step?.interruptible && step.kind === 'checkable') this.abandon();
  }

  /** A cancel request is in the journal: heed it at the next safe point. */
  cancel(request: NonNullable<OperationRecord['cancel']>): void {
    if (this.#cancel.signal.aborted) return;
    if (!this.#list.cancellable || this.#operation.state !== 'running') return;
    this.#operation = { ...this.#operation, cancel: request };
    this.#cancel.abort(new Cancelled());
  }

  /** Something it may wait for has changed. */
  wake(): void {
    this.#wake?.();
  }

  /** Carries the operation to its end; returns normally also when abandoned. */
  async run({ isNew = false } = {}): Promise<void> {
    try {
      if (!isNew)
        this.#steps = [...(await this.#world.storage.run((tx) => tx.journal.steps(this.#operation.id)))];
      // What was left at the last write: wall time may have jumped since, and how long nobody was at work cannot be known.
      const left = this.#operation.timeLeft ?? this.#operation.deadlineAt - this.#world.clock.now();
      this.#deadlineAt = this.#world.clock.monotonic() + left;
      try {
        if (this.#operation.state === 'running') await this.#forward();
        if (this.#operation.state === 'undoing') await this.#undo();
      } catch (thrown) {
        if (this.#abandon.signal.aborted || isPassing(thrown)) throw thrown;
        await this.#endRefused(asCodedError(thrown));
      }
    } catch (thrown) {
      if (!this.#abandon.signal.aborted && asCodedError(thrown).code !== 'operation.lease-lost') throw thrown;
    } finally {
      this.abandon();
    }
  }

  /**
   * The domain refused what an outcome or an ending would have changed, and would refuse it again after each restart: the operation
   * fails by that, and where even this is refused it ends without a change but a quarantine (law 7).
   */
  async #endRefused(refused: CodedError): Promise<void> {
    const { log, clock } = this.#world;
    const { id, machineId } = this.#operation;
    log.error({ operation: id, err: refused }, 'a change was refused that should have been possible');
    let last = refused;
    try {
      if (this.#operation.state === 'running') {
        await this.#turnBack([], null, refused);
        if (this.#list.onFailure === 'undo') await this.#undo();
        return;
      }
    } catch (thrown) {
      if (this.#abandon.signal.aborted || isPassing(thrown)) throw thrown;
      last = asCodedError(thrown);
    }
    const ended: OperationRecord = {
      ...this.#operation,
      state: 'failed',
      error: this.#operation.error ?? errorRecord(refused),
      undoError: errorRecord(last),
      endedAt: clock.now(),
    };
    await this.#writeOperation(ended, async (tx) =>
      quarantine(tx, this.#world, machineId, last, await isFenced(tx, machineId)),
    );
  }

  // ---- forward ----------------------------------------------------------------------------------------------------

  async #forward(): Promise<void> {
    let carries: readonly Carry[] = [];
    for (const step of this.#list.steps) {
      const last = this.#lastRecord(step.name, 'do');
      if (last?.state === 'done') continue;
      if (step.applies && !step.applies(this.#operation.context, this.#operation.input)) continue;
      let cut = last?.state === 'intent';
      let attempt = last?.attempt ?? 0;
      for (;;) {
        if (!cut) {
          if (this.#leaving) return this.#layDown(carries);
          const stop = this.#stopReason();
          if (stop) return this.#turnBack(carries, null, stop);
          attempt += 1;
          if (step.noIntent) this.#remember(this.#newRecord(step, 'do', attempt, 'intent'));
          else {
            const refused: CodedError | null = await this.#writeIntent(step, attempt, carries);
            carries = [];
            if (refused)
              return this.#turnBack([], this.#newRecord(step, 'do', attempt, 'failed', refused), refused);
          }
        }
        const ended: CodedError | Carry = await this.#attempt(step, cut);
        cut = false;
        if (!(ended instanceof CodedError)) {
          carries = [...carries, ended];
          break;
        }
        const record = this.#endRecord(step.name, ended);
        if (!this.#mayRetry(step, ended, attempt)) return this.#turnBack(carries, record, ended);
        await this.#write(carries, record);
        carries = [];
        await this.#pauseBeforeRetry(attempt, AbortSignal.any([this.#abandon.signal, this.#cancel.signal]));
      }
    }
    const ended: OperationRecord = { ...this.#operation, state: 'done', endedAt: this.#world.clock.now() };
    await this.#writeOperation(ended, (tx) => settle(tx, carries));
    this.#rememberAll(carries);
  }

  /** What is done is written down; nothing is begun. */
  async #layDown(carries: readonly Carry[]): Promise<void> {
    if (carries.length > 0) await this.#writeOperation(this.#operation, (tx) => settle(tx, carries));
    this.abandon();
    this.#throwIfAbandoned();
  }

  /** Why the operation may not go on at this safe point, if so. */
  #stopReason(): CodedError | null {
    if (this.#cancel.signal.aborted) return this.#cancelError();
    if (this.#world.clock.monotonic() >= this.#deadlineAt) return this.#deadlineError();
    return null;
  }

  #cancelError(): ServiceError {
    const by = this.#operation.cancel?.requester;
    return new ServiceError({
      code: 'operation.cancelled',
      what: `cancelled by ${by?.principal ?? 'somebody'}: ${by?.reason ?? 'no reason given'}`,
    });
  }

  #deadlineError(): ServiceError {
    return new ServiceError({
      code: 'operation.deadline',
      what: `the ${this.#operation.kind} ran out of time`,
      where: this.#operation.id,
    });
  }

  #mayRetry(step: Step, error: CodedError, attempt: number): boolean {
    if (error.retry !== 'later' || this.#stopReason()) return false;
    return attempt < (step.attempts ?? (step.kind === 'at-most-once' ? 1 : 3));
  }

  async #pauseBeforeRetry(attempt: number, signal: AbortSignal): Promise<void> {
    const pause = (this.#world.timings.retryDelay * 2 ** (attempt - 1)) as Duration;
    await this.#world.clock.sleep(pause, signal).catch(() => this.#throwIfAbandoned());
  }

  /** What was done since the last write and this step's intent, with the domain changes of all, in one transaction. */
  async #writeIntent(step: Step, attempt: number, carries: readonly Carry[]): Promise<CodedError | null> {
    const record = this.#newRecord(step, 'do', attempt, 'intent');
    const refusal: { error?: CodedError } = {};
    const found: { machine: Machine | null } = { machine: null };
    try {
      await this.#writeOperation(this.#operation, async (tx) => {
        // The database may have the unit run again, and an earlier run is as if it had never been.
        delete refusal.error;
        await settle(tx, carries);
        try {
          await step.prepare?.(tx, this.#stepRun(step, this.#abandon.signal));
        } catch (thrown) {
          refusal.error = asCodedError(thrown);
          throw thrown;
        }
        await tx.journal.putStep(record);
        found.machine = await tx.machines.find(this.#operation.machineId);
      });
      this.#machineRead = found.machine && { machine: found.machine, at: this.#world.clock.monotonic() };
    } catch (thrown) {
      if (!refusal.error || asCodedError(thrown).code === 'operation.lease-lost') throw thrown;
      // Where it is the database that does not answer, nobody has refused anything; a conflict is an answer.
      if (isPassing(refusal.error) && refusal.error.code !== 'store.conflict') throw thrown;
      await this.#writeOperation(this.#operation, (tx) => settle(tx, carries));
    }
    this.#rememberAll(carries);
    if (refusal.error) return refusal.error;
    this.#remember(record);
    this.#hooks.onBoundary?.(`${this.#list.name}:${step.name}:intent`);
    return null;
  }

  /** One attempt, including its waiting. Returns the outcome to carry, or the error. */
  async #attempt(step: Step, cut: boolean): Promise<CodedError | Carry> {
    const signal = this.#signalFor(step);
    const run = this.#stepRun(step, signal);
    const started = this.#world.clock.monotonic();
    try {
      // Where others may have taken over meanwhile, nothing is touched until it is certain that they have not.
      await this.#world.instances.current(signal);
      this.#current = step;
      if (this.#leaving) this.handOver();
      this.#throwIfAbandoned();
      const outcome = cut ? await this.#afterCut(step, run) : await step.run(run);
      this.#hooks.onBoundary?.(`${this.#list.name}:${step.name}:effect`);
      this.#world.metrics.stepSeconds.observe(
        { step: step.name, outcome: 'done' },
        (this.#world.clock.monotonic() - started) / 1_000,
      );
      if (outcome.context) {
        const context = { ...this.#operation.context, ...(outcome.context as JsonObject) };
        this.#operation = { ...this.#operation, context };
      }
      const record: StepRecord = {
        ...this.#lastRecord(step.name, 'do')!,
        state: 'done',
        endedAt: this.#world.clock.now(),
        evidence: outcome.evidence,
      };
      return { record, commit: outcome.commit };
    } catch (thrown) {
      this.#throwIfAbandoned();
      this.#world.metrics.stepSeconds.observe(
        { step: step.name, outcome: 'failed' },
        (this.#world.clock.monotonic() - started) / 1_000,
      );
      if (signal.aborted) return this.#cancel.signal.aborted ? this.#cancelError() : this.#deadlineError();
      const error = asCodedError(thrown);
      if (error.code === 'internal.bug')
        this.#world.log.error({ err: thrown, operation: this.#operation.id, step: step.name }, 'step failed');
      return error;
    } finally {
      this.#current = null;
    }
  }

  /** A step that a crash cut: look before doing (law 1). */
  async #afterCut(step: Step, run: StepRun): Promise<Outcome> {
    if (step.kind === 'checkable') return (await step.check?.(run)) ?? (await step.run(run));
    if (step.resolve) return step.resolve(run);
    throw new ServiceError({
      code: 'operation.unknown-outcome',
      what: `${step.name} was cut off and must not be repeated`,
      where: run.operation.id,
    });
  }

  // ---- back -------------------------------------------------------------------------------------------------------

  /** Writes the failure and decides the way: undo, or stand. */
  async #turnBack(carries: readonly Carry[], failed: StepRecord | null, error: CodedError): Promise<void> {
    this.#throwIfAbandoned();
    const undo = this.#list.onFailure === 'undo';
    const next: OperationRecord = {
      ...this.#operation,
      state: undo ? 'undoing' : this.#endState(error),
      error: errorRecord(error),
    };
    await this.#writeOperation(undo ? next : { ...next, endedAt: this.#world.clock.now() }, async (tx) => {
      await settle(tx, carries);
      if (failed) await tx.journal.putStep(failed);
      if (!undo) await this.#list.failed.commit(tx, this.#stepRun(null, this.#abandon.signal), error);
    });
    this.#rememberAll(carries);
    if (failed) this.#remember(failed);
  }

  #endState(error: CodedError): 'failed' | 'cancelled' {
    return error.code === 'operation.cancelled' ? 'cancelled' : 'failed';
  }

  /** Walks back over every step that was begun, the last first. One undo that fails does not stop the others. */
  async #undo(): Promise<void> {
    const { clock, timings } = this.#world;
    const failure = this.#operation.error!;
    const until = clock.monotonic() + timings.undoBudget;
    let undoError: CodedError | null = null;
    for (const step of [...this.#list.steps].reverse()) {
      const began = this.#lastRecord(step.name, 'do');
      if (!began || 'none' in step.undo) continue;
      const last = this.#lastRecord(step.name, 'undo');
      if (last?.state === 'done') continue;
      if (this.#leaving) return this.#layDown([]);
      const error = await this.#undoStep(step, step.undo, until);
      undoError ??= error;
    }
    const ending = undoError ? this.#list.stuck : this.#list.failed;
    const cause = new CodedError(failure);
    await this.#writeOperation(
      {
        ...this.#operation,
        state: this.#endState(cause),
        endedAt: clock.now(),
        undoError: undoError && errorRecord(undoError),
      },
      (tx) => ending.commit(tx, this.#stepRun(null, this.#abandon.signal), undoError ?? cause),
    );
  }

  async #undoStep(step: Step, undo: Undo<StepContext>, until: number): Promise<CodedError | null> {
    const { clock } = this.#world;
    for (let attempt = 1; ; attempt += 1) {
      const record = this.#newRecord(step, 'undo', attempt, 'intent');
      await this.#writeOperation(this.#operation, async (tx) => {
        await undo.prepare?.(tx, this.#stepRun(step, this.#abandon.signal));
        await tx.journal.putStep(record);
      });
      this.#remember(record);
      this.#hooks.onBoundary?.(`${this.#list.name}:undo ${step.name}:intent`);
      const budget = new AbortController();
      const left = Math.max(0, until - clock.monotonic()) as Duration;
      const timer = clock.sleep(left, AbortSignal.any([budget.signal, this.#abandon.signal])).then(
        () => budget.abort(this.#deadlineError()),
        () => undefined,
      );
      try {
        const signal = AbortSignal.any([budget.signal, this.#abandon.signal]);
        await this.#world.instances.current(signal);
        const outcome = await undo.run(this.#stepRun(step, signal));
        const undone: StepRecord = {
          ...record,
          state: 'done',
          endedAt: clock.now(),
          evidence: outcome.evidence,
        };
        await this.#writeOperation(this.#operation, async (tx) => {
          await tx.journal.putStep(undone);
          await outcome.commit?.(tx);
        });
        this.#remember(undone);
        return null;
      } catch (thrown) {
        this.#throwIfAbandoned();
        // A reason of its own says more than that time is up.
        const late = budget.signal.aborted && !(thrown instanceof CodedError);
        const error = asCodedError(late ? this.#deadlineError() : thrown);
        const again = error.retry === 'later' && attempt < 5 && clock.monotonic() < until;
        await this.#write([], {
          ...record,
          state: 'failed',
          endedAt: clock.now(),
          error: errorRecord(error),
        });
        if (!again) return error;
        // The cancellation that may have led here shortens no pause of the way back.
        await this.#pauseBeforeRetry(attempt, this.#abandon.signal);
      } finally {
        budget.abort();
        await timer;
      }
    }
  }

  // ---- records ----------------------------------------------------------------------------------------------------

  #stepRun(step: Step | null, signal: AbortSignal): StepRun {
    const world = this.#world;
    const operation = this.#operation;
    // What is over within a second is told by its outcome.
    let lastWritten = world.clock.monotonic();
    return {
      world,
      operation,
      context: operation.context,
      signal,
      machine: async () => {
        const read = step && this.#machineRead;
        if (read && world.clock.monotonic() - read.at < stillFresh) return read.machine;
        return world.storage.run((tx) => requireMachine(tx, operation.machineId));
      },
      progress: (activity, percent = null) => {
        // What goes on after its step is over tells nothing any more.
        if (!step || this.#current !== step || this.#progressing) return;
        const now = world.clock.monotonic();
        if (now - lastWritten < 1_000) return;
        lastWritten = now;
        this.#progressing = this.#writeProgress(step.name, activity, percent)
          .catch(() => undefined)
          .finally(() => (this.#progressing = null));
      },
      pause: (time) => this.#pause(time, signal),
    };
  }

  #signalFor(step: Step): AbortSignal {
    const deadline = new AbortController();
    const left = Math.max(0, this.#deadlineAt - this.#world.clock.monotonic()) as Duration;
    const signals = [this.#abandon.signal, deadline.signal];
    if (step.interruptible) signals.push(this.#cancel.signal);
    this.#world.clock.sleep(left, this.#abandon.signal).then(
      () => deadline.abort(this.#deadlineError()),
      () => undefined,
    );
    return AbortSignal.any(signals);
  }

  async #pause(time: Duration, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = (): void => woken.abort(new Error('woken'));
    try {
      await this.#world.clock.sleep(time, AbortSignal.any([signal, woken.signal]));
    } catch (thrown) {
      if (signal.aborted) throw thrown;
    } finally {
      this.#wake = null;
    }
  }

  #lastRecord(name: string, direction: 'do' | 'undo'): StepRecord | null {
    return this.#steps.findLast((record) => record.name === name && record.direction === direction) ?? null;
  }

  #newRecord(
    step: Step,
    direction: 'do' | 'undo',
    attempt: number,
    state: StepState,
    error?: CodedError,
  ): StepRecord {
    return {
      operationId: this.#operation.id,
      seq: this.#steps.length,
      name: step.name,
      kind: step.kind,
      direction,
      attempt,
      state,
      startedAt: this.#world.clock.now(),
      endedAt: error ? this.#world.clock.now() : null,
      progress: null,
      evidence: null,
      error: error ? errorRecord(error) : null,
    };
  }

  #endRecord(name: string, error: CodedError): StepRecord {
    const state: StepState =
      error.code === 'operation.unknown-outcome' || error.code === 'power.outcome-unknown'
        ? 'unknown'
        : error.code === 'operation.cancelled'
          ? 'cancelled'
          : 'failed';
    return {
      ...this.#lastRecord(name, 'do')!,
      state,
      endedAt: this.#world.clock.now(),
      error: errorRecord(error),
    };
  }

  #remember(record: StepRecord): void {
    this.#steps[record.seq] = record;
    this.#world.events.emit('step', record);
  }

  #rememberAll(carries: readonly Carry[]): void {
    for (const { record } of carries) this.#remember(record);
  }

  async #write(carries: readonly Carry[], record: StepRecord): Promise<void> {
    await this.#writeOperation(this.#operation, async (tx) => {
      await settle(tx, carries);
      await tx.journal.putStep(record);
    });
    this.#rememberAll(carries);
    this.#remember(record);
  }

  /** The operation row goes into every write: it carries the fence that stops a late writer. */
  async #writeOperation(operation: OperationRecord, more: (tx: Tx) => Promise<void>): Promise<void> {
    // Units of work may overtake each other: the outcome of a step must not be overwritten by its progress.
    await this.#progressing;
    this.#throwIfAbandoned();
    this.#machineRead = null;
    operation = { ...operation, timeLeft: this.#timeLeft() };
    const ended = operation.endedAt !== null && this.#operation.endedAt === null;
    const notes = this.#world.timeline.take(operation.machineId, operation.id);
    try {
      await this.#world.storage.run(async (tx) => {
        await tx.journal.update(operation);
        await more(tx);
        await notes?.write(tx);
      });
    } catch (thrown) {
      notes?.giveBack();
      throw thrown;
    }
    notes?.written();
    this.#operation = { ...operation, cancel: this.#operation.cancel };
    if (ended) this.#world.metrics.operations.inc({ kind: operation.kind, outcome: operation.state });
    this.#world.events.emit('operation', this.#operation);
  }

  async #writeProgress(name: string, activity: string, percent: number | null): Promise<void> {
    const last = this.#lastRecord(name, 'do');
    if (last?.state !== 'intent') return;
    if (last.progress?.activity === activity && last.progress.percent === percent) return;
    const record: StepRecord = { ...last, progress: { activity, percent } };
    this.#remember(record);
    await this.#world.storage.run(async (tx) => {
      await tx.journal.update({ ...this.#operation, timeLeft: this.#timeLeft() });
      await tx.journal.putStep(record);
    });
  }

  #timeLeft(): number {
    return Math.max(0, Math.round(this.#deadlineAt - this.#world.clock.monotonic()));
  }

  #throwIfAbandoned(): void {
    if (this.#abandon.signal.aborted) throw this.#abandon.signal.reason;
  }
}

/** Whether it may be otherwise after a while, or for another process: the storage is away, or the operation is not ours any more. */
function isPassing(thrown: unknown): boolean {
  const { code } = asCodedError(thrown);
  return code.startsWith('store.') || code === 'operation.lease-lost' || code === 'instance.gone';
}

/** Writes what finished steps left to write. */
async function settle(tx: Tx, carries: readonly Carry[]): Promise<void> {
  for (const { record, commit } of carries) {
    await tx.journal.putStep(record);
    await commit?.(tx);
  }
}

export function errorRecord(error: CodedError): ErrorRecord {
  const { code, retry, what, where, said, remedy } = error;
  return { code, retry, what, where, said, remedy };
}
