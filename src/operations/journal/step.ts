import type { CodedError, Duration, Evidence, JsonObject } from '../../../plugin-api/index.ts';
import type { Machine } from '../../core/machine/machine.ts';
import type { OperationKind, OperationRecord } from '../../core/storage/journal-records.ts';
import type { Tx } from '../../core/storage/storage.ts';
import type { World } from '../world.ts';

/** What a step found out, carried in the journal to later steps and across a crash: JSON only. */
export type StepContext = JsonObject;

/** What a step sees while it works. */
export interface StepRun<C extends StepContext = StepContext> {
  readonly world: World;
  readonly operation: OperationRecord;
  /** What earlier steps found out. */
  readonly context: C;
  /** Aborted at the deadline, when the lease is lost, and, for interruptible steps, on cancellation. */
  readonly signal: AbortSignal;
  /** The machine as stored now, or up to a second ago. */
  machine(): Promise<Machine>;
  /** Says what is going on; written at most about once a second, the first time when the step is a second old. */
  progress(activity: string, percent?: number | null): void;
  /** Sleeps, or less when the operation is woken; rejects when `signal` is aborted. */
  pause(time: Duration): Promise<void>;
}

/**
 * How a step ended well. A failure is thrown: a `CodedError` with `retry: later` is tried again while attempts and time last.
 */
export interface Outcome<C extends StepContext = StepContext> {
  readonly evidence: Evidence;
  /** Merged into the context. */
  readonly context?: Partial<C>;
  /** Domain change that shares the transaction with this outcome. */
  readonly commit?: (tx: Tx) => Promise<void>;
}

/** An outcome from its one line; `verified` unless said otherwise. */
export function done<C extends StepContext>(
  summary: string,
  more: Partial<Omit<Outcome<C>, 'evidence'>> & {
    readonly verified?: boolean;
    readonly data?: JsonObject;
  } = {},
): Outcome<C> {
  const { verified = true, data, ...rest } = more;
  return { evidence: { summary, verified, ...(data && { data }) }, ...rest };
}

/** The way back from a step; called again and again until it holds, so it must bear repetition. */
export interface Undo<C extends StepContext> {
  /** Domain change that shares the transaction with the undo's intent. */
  readonly prepare?: (tx: Tx, run: StepRun<C>) => Promise<void>;
  run(run: StepRun<C>): Promise<Outcome<C>>;
}

/** One step of an operation. */
export interface Step<C extends StepContext = StepContext> {
  readonly name: string;
  /**
   * `checkable`: after a crash `check` tells whether it already holds, and if not it is run again.
   * `at-most-once`: never repeated blindly; after a crash `resolve` looks at the world and decides.
   */
  readonly kind: 'checkable' | 'at-most-once';
  /** False = this step is not needed here; it leaves no trace. Decided by the context and the journaled input alone. */
  readonly applies?: (context: C, input: JsonObject) => boolean;
  /**
   * Without an intent, for nobody would have to look whether it was begun: it reads and decides, or sets what is set anew whenever the
   * operation comes to it. A crash has it run again, and what came of it is written with the intent of the next step. So is the
   * outcome of the step before, whose `commit` it does not see yet; that step is checkable. A plan runs it for real, unless it has a
   * `plan` of its own.
   */
  readonly noIntent?: boolean;
  /** May be broken off by cancellation while it runs (waits); others are finished first. */
  readonly interruptible?: boolean;
  /** How often it is tried when the failure says `later` (default 3; 1 for at-most-once). */
  readonly attempts?: number;
  /** Domain change that shares the transaction with this step's intent. A thrown error fails the step before it did anything. */
  readonly prepare?: (tx: Tx, run: StepRun<C>) => Promise<void>;
  /** Does it already hold? Reads only. */
  readonly check?: (run: StepRun<C>) => Promise<Outcome<C> | null>;
  run(run: StepRun<C>): Promise<Outcome<C>>;
  /** For at-most-once steps that were cut. */
  readonly resolve?: (run: StepRun<C>) => Promise<Outcome<C>>;
  /** The way back, or the written reason why there is none (law 6). */
  readonly undo: Undo<C> | { readonly none: string };
  /** What it would do, for people (law 8). Absent only for steps that read and decide: running them is their plan then. */
  plan?(run: StepRun<C>): Promise<readonly string[]>;
}

/** What happens when an operation's own end has to change the domain. */
export interface Ending<C extends StepContext> {
  /** Shares the transaction with the operation's last record. */
  commit(tx: Tx, run: StepRun<C>, error: CodedError | null): Promise<void>;
}

/** An operation, readable top to bottom. */
export interface StepList<C extends StepContext = StepContext> {
  /** Unique with the version; journaled, so that an operation ends by the list that began it (law 1). */
  readonly name: string;
  readonly version: number;
  readonly kind: OperationKind;
  readonly steps: readonly Step<C>[];
  /** Whether somebody may cancel it. What must converge (stop, destroy, erase) may not be cancelled. */
  readonly cancellable: boolean;
  /**
   * `undo` = walk back by each step's undo; `stand` = stay where it failed, to be asked for again (what must converge).
   */
  readonly onFailure: 'undo' | 'stand';
  /** After failure or cancellation, undone or standing. */
  readonly failed: Ending<C>;
  /** When the undo failed too, or something failed that must not stand: quarantine. */
  readonly stuck: Ending<C>;
}
