import { randomBytes } from 'node:crypto';
import type { Requester } from '../../core/access/principal.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Tx } from '../../core/storage/storage.ts';
import type { EventKind, TimelineEvent } from '../../core/storage/timeline.ts';

/** Something that happened to a machine, for its timeline. No text may hold a secret: it is kept as it is, and shown. */
export interface MachineEvent {
  /** As `newEventId` makes it; it gets one when it is written, unless it has one. */
  readonly id?: string | undefined;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly machineId: MachineId;
  /** The operation that it belongs to; undefined = the one that is active on the machine, null = none. */
  readonly operationId?: string | null | undefined;
  readonly kind: EventKind;
  /** One sentence for people; cut at 1,000 characters. */
  readonly text: string;
  /** How it was, and how it is since; cut at 300 characters. */
  readonly before?: string | null | undefined;
  readonly after?: string | null | undefined;
  /** Milliseconds. */
  readonly took?: number | null | undefined;
  /** Who wanted it, where it was not the operation. */
  readonly who?: Requester | null | undefined;
}

export type NotedEvent = MachineEvent & { readonly id: string };

/** Longest parts of an event, in characters. */
const longest = { text: 1_000, state: 300, reason: 300, name: 128 } as const;

/** Writes an event in the unit of work that it is about. */
export function recordEvent(tx: Tx, event: MachineEvent): Promise<void> {
  return recordEvents(tx, [event]);
}

/**
 * Writes events; which operation they belong to is found for all of them at once.
 * @param options.again some of them may have been written before: those stay as they are
 */
export async function recordEvents(
  tx: Tx,
  events: readonly MachineEvent[],
  options: { readonly again?: boolean } = {},
): Promise<void> {
  if (events.length === 0) return;
  const open = new Set(
    events.filter(({ operationId }) => operationId === undefined).map(({ machineId }) => machineId),
  );
  const active = open.size === 0 ? null : await tx.journal.activeIds([...open]);
  await tx.timeline.insert(
    events.map((event) => {
      const { machineId, operationId } = event;
      return rowOf(event, operationId === undefined ? active?.get(machineId) : operationId);
    }),
    options,
  );
}

function rowOf(event: MachineEvent, operationId: string | null | undefined): TimelineEvent {
  const { at, machineId, kind, text, before = null, after = null, took = null, who = null } = event;
  return {
    id: event.id ?? newEventId(at),
    at: Math.round(at),
    machineId,
    operationId: operationId ?? null,
    kind,
    text: plain(text, longest.text),
    before: before === null ? null : plain(before, longest.state),
    after: after === null ? null : plain(after, longest.state),
    took: took === null ? null : Math.min(Math.max(0, Math.round(took)), 2 ** 31 - 1),
    who: who && {
      principal: plain(who.principal, longest.name),
      door: plain(who.door, longest.name),
      reason: plain(who.reason, longest.reason),
    },
  };
}

let sequence = 0;

/** A unique id; events of one process and one millisecond are in the order of making. */
export function newEventId(at: number): string {
  sequence = (sequence + 1) % 2 ** 16;
  return `${eventIdAt(at)}${sequence.toString(16).padStart(4, '0')}${randomBytes(4).toString('hex')}`;
}

/** What is greater than the id of every earlier event, and less than that of every later one or of that millisecond. */
export function eventIdAt(at: number): string {
  return `ev-${Math.max(0, Math.round(at)).toString(16).padStart(12, '0')}`;
}

/** One line, with an end; what was cut shows. */
function plain(text: string, most: number): string {
  const line = text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').replaceAll(/\p{Surrogate}/gu, '\ufffd');
  return line.length <= most ? line : `${line.slice(0, most - 1).replace(/\p{Surrogate}$/u, '')}…`;
}
