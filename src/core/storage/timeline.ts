import type { Requester } from '../access/principal.ts';
import type { MachineId } from '../machine/machine.ts';

/** What an event of a machine's timeline is about. Operations, their steps and alarms have tables of their own. */
export const eventKinds = [
  'command',
  'answer',
  'plan',
  'claim',
  'port',
  'bmc',
  'engine',
  'power',
  'quarantine',
] as const;
export type EventKind = (typeof eventKinds)[number];

/** Something that happened to a machine. No field ever holds a secret (law 10). */
export interface TimelineEvent {
  /** As `newEventId` makes it: the order of ids is the order in which things happened. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly machineId: MachineId;
  /** The operation that it belongs to; null = none was active on the machine. */
  readonly operationId: string | null;
  readonly kind: EventKind;
  readonly text: string;
  /** How it was, and how it is since; null where nothing of that kind changed. */
  readonly before: string | null;
  readonly after: string | null;
  /** How long it took, in milliseconds; null = it has no length. */
  readonly took: number | null;
  /** Who wanted it, where it was not the operation. */
  readonly who: Requester | null;
}

export interface TimelineFilter {
  readonly machineId: MachineId;
  readonly operationId?: string;
  /** Only rows whose id is greater than this, or less than this. */
  readonly above?: string;
  readonly below?: string;
  readonly limit: number;
}

export interface TimelineStore {
  /** @param options.again rows whose ids are there already stay as they are */
  insert(rows: readonly TimelineEvent[], options?: { readonly again?: boolean }): Promise<void>;
  /** The newest first. */
  list(filter: TimelineFilter): Promise<readonly TimelineEvent[]>;
}

/** What grows with time and is kept for a while only. */
export const retained = [
  'timeline',
  'operations',
  'deployments',
  'bootConversations',
  'alarms',
  'nonces',
] as const;
export type Retained = (typeof retained)[number];

export interface PruneOptions {
  /** What is older than this moment goes; epoch milliseconds. */
  readonly before: number;
  /** Where the last call of this pass ended; null = at the beginning. */
  readonly after: string | null;
  /** How many rows are looked at, and at most removed. */
  readonly limit: number;
  /** Only counts. */
  readonly dryRun: boolean;
}

export interface RetentionStore {
  /**
   * Removes the next old rows of one kind, a bounded number of them. Never: what belongs to an active operation, the last
   * ended operation of a machine, a deployment that has not ended, a boot conversation that is not over. Doing it twice, or
   * in two processes at once, does no harm.
   * @returns how many went, and where to go on; null = there is nothing more
   */
  prune(
    what: Retained,
    options: PruneOptions,
  ): Promise<{ readonly removed: number; readonly next: string | null }>;
}
