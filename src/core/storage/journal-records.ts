import type { ErrorParts, Evidence, JsonObject } from '../../../plugin-api/index.ts';
import type { Requester } from '../access/principal.ts';
import type { MachineId } from '../machine/machine.ts';

export type OperationKind =
  'commission' | 'start' | 'stop' | 'reboot' | 'plug-nic' | 'unplug-nic' | 'destroy' | 'erase';

/** `running` and `undoing` are active; the others are ends. */
export type OperationState = 'running' | 'undoing' | 'done' | 'failed' | 'cancelled';

export type ErrorRecord = Pick<ErrorParts, 'code' | 'retry' | 'what' | 'where' | 'said' | 'remedy'>;

/** One journaled piece of work on one machine. */
export interface OperationRecord {
  readonly id: string;
  readonly machineId: MachineId;
  readonly kind: OperationKind;
  /** Version of the step list that began it, and ends it (law 1). */
  readonly listVersion: number;
  readonly state: OperationState;
  /** Same kind and same key = the same command repeated: it joins. For a Start: the instance. */
  readonly joinKey: string;
  readonly input: JsonObject;
  /** What its steps found out and later steps need. */
  readonly context: JsonObject;
  readonly requester: Requester;
  readonly createdAt: number;
  /** Epoch milliseconds by which the forward steps must be over (the budget for undo comes after). */
  readonly deadlineAt: number;
  /**
   * Milliseconds that the forward steps had left when it was last written: what a restart goes on with, because wall time may
   * jump. Null = written before there was this; then `deadlineAt` tells.
   */
  readonly timeLeft: number | null;
  readonly endedAt: number | null;
  readonly cancel: { readonly requester: Requester; readonly at: number } | null;
  /** Why it failed or was cancelled. */
  readonly error: ErrorRecord | null;
  /** Why its undo failed, if it did. */
  readonly undoError: ErrorRecord | null;
  /** Result for the caller. */
  readonly result: JsonObject | null;
  /** Instance that works on it, and the fence number that travels with its writes. */
  readonly leaseOwner: string | null;
  readonly fence: number;
}

export type StepState = 'intent' | 'done' | 'failed' | 'unknown' | 'cancelled';

/** One attempt at one step. The outcome of a step and the intent of the next are written in one transaction. */
export interface StepRecord {
  readonly operationId: string;
  /** Order of writing within the operation, from 0. */
  readonly seq: number;
  readonly name: string;
  readonly kind: 'checkable' | 'at-most-once';
  readonly direction: 'do' | 'undo';
  readonly attempt: number;
  readonly state: StepState;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** What it waits for, or how far it is: for people. */
  readonly progress: { readonly activity: string; readonly percent: number | null } | null;
  readonly evidence: Evidence | null;
  readonly error: ErrorRecord | null;
}
