import type { Principal, Requester } from '../../core/access/principal.ts';
import type { Machine } from '../../core/machine/machine.ts';
import type { ErrorRecord, OperationRecord, StepRecord } from '../../core/storage/journal-records.ts';
import type { Alarm, Storage, Tx } from '../../core/storage/storage.ts';
import type { EventKind, TimelineEvent } from '../../core/storage/timeline.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { visibleMachine } from '../queries.ts';
import { eventIdAt } from './record-event.ts';

/** One thing that happened to a machine. */
export interface TimelineEntry {
  readonly id: string;
  /** Epoch milliseconds: of a step or an operation that is over, when it ended. */
  readonly at: number;
  readonly kind: EventKind | 'operation' | 'step' | 'alarm';
  readonly operationId: string | null;
  readonly text: string;
  /** Of operations and steps: `begun`, `running`, `done`, `failed`, `cancelled`, `unknown`, `cancel-asked`. */
  readonly outcome: string | null;
  readonly before: string | null;
  readonly after: string | null;
  /** What proved it; `verified` = the device itself showed it. */
  readonly evidence: { readonly summary: string; readonly verified: boolean } | null;
  readonly error: Pick<ErrorRecord, 'code' | 'what' | 'where' | 'said'> | null;
  /** Milliseconds. */
  readonly took: number | null;
  readonly who: Requester | null;
}

export interface TimelineQuery {
  /** System id or hostname. */
  readonly machine: string;
  /** Epoch milliseconds, both included. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Only what belongs to this operation. */
  readonly operation?: string | undefined;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
  readonly limit: number;
}

export interface TimelinePage {
  readonly machine: Pick<Machine, 'id' | 'hostname'>;
  /** The newest first. */
  readonly entries: readonly TimelineEntry[];
  /** For the page of what is older; null = there is nothing older. */
  readonly next: string | null;
}

/** Operations whose steps are read for one page, and alarms: what is older is for the next one. */
const operationsPerPage = 25;
const alarmsPerPage = 100;

/** Order of what happened in one millisecond. */
const ranks = { begun: '0', event: '1', step: '2', alarm: '3', ended: '4' } as const;

/** An entry with its place in the order of all; keys compare as strings. */
interface Placed {
  readonly key: string;
  readonly entry: TimelineEntry;
}

/** What one source has: everything from `complete` on, and nothing that is older need be there. */
interface Source {
  readonly placed: readonly Placed[];
  /** '' = all of it. */
  readonly complete: string;
}

/** The timelines of machines: events as recorded, and operations, steps and alarms from where they are kept anyway. */
export class Timeline {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /**
   * One page, in a fixed number of queries.
   * @throws ServiceError `machine.unknown`, `request.invalid`
   */
  page(reader: Pick<Principal, 'scope'>, query: TimelineQuery): Promise<TimelinePage> {
    return this.#storage.run(async (tx) => {
      const { id, hostname } = await visibleMachine(tx, reader, query.machine);
      const window = windowOf(id, query);
      const sources = [
        await events(tx, window),
        await operations(tx, window),
        await alarms(tx, window),
      ] as const;
      const complete = sources.map((source) => source.complete).reduce((a, b) => (a > b ? a : b));
      const known = sources
        .flatMap(({ placed }) => placed)
        .filter(({ key, entry }) => key >= complete && within(window, key, entry))
        .sort((a, b) => (a.key < b.key ? 1 : -1));
      const page = known.slice(0, query.limit);
      return {
        machine: { id, hostname },
        entries: inOrder(page, sources[1].setBack).map(({ entry }) => entry),
        // What was read is given whole, unless it is too much; a page of a narrow window may well be empty.
        next: known.length > page.length ? page.at(-1)!.key : complete === '' ? null : complete,
      };
    });
  }
}

/** That the clock was set back while an operation ran. */
interface SetBack {
  /** When the operation began: of itself nothing was earlier. */
  readonly from: number;
  /** By so many milliseconds, at the least. */
  readonly by: number;
}

/**
 * The page with what was recorded of an operation among its steps also where the clock was set back meanwhile: what seems to be
 * from before its beginning is from after that.
 */
function inOrder(page: readonly Placed[], setBack: ReadonlyMap<string, SetBack>): readonly Placed[] {
  if (setBack.size === 0) return page;
  const orderOf = ({ key, entry: { id, at, operationId, kind } }: Placed): string => {
    const jump =
      operationId === null || kind === 'operation' || kind === 'step' ? null : setBack.get(operationId);
    return jump && at < jump.from ? keyAt(at + jump.by, ranks.event, id) : key;
  };
  const placed = page.map((one) => ({ one, order: orderOf(one) }));
  return placed.sort((a, b) => (a.order < b.order ? 1 : -1)).map(({ one }) => one);
}

interface Window extends TimelineQuery {
  readonly machineId: Machine['id'];
  /** The cursor: only what has a smaller key. */
  readonly below: string | null;
  /** Epoch milliseconds after which nothing is wanted. */
  readonly last: number;
}

function windowOf(machineId: Machine['id'], query: TimelineQuery): Window {
  const { cursor, until = Number.MAX_SAFE_INTEGER } = query;
  if (cursor === undefined) return { ...query, machineId, below: null, last: until };
  const match = /^([0-9a-f]{12})[0-5]?/.exec(cursor);
  if (!match || cursor.length > 200)
    throw new ServiceError({ code: 'request.invalid', what: 'the cursor is none of a timeline' });
  return { ...query, machineId, below: cursor, last: Math.min(until, Number.parseInt(match[1]!, 16)) };
}

function within(
  { below, since = 0, until = Number.MAX_SAFE_INTEGER }: Window,
  key: string,
  { at }: TimelineEntry,
): boolean {
  return at >= since && at <= until && (below === null || key < below);
}

function keyAt(at: number, rank: string, id: string): string {
  return `${hex(at)}${rank}${id}`;
}

function hex(at: number): string {
  return Math.max(0, Math.round(at)).toString(16).padStart(12, '0');
}

/** The key after everything of a moment: of that millisecond there may be more. Where nothing else was read, that was it. */
function after(at: number, last: number): string {
  return at === last ? hex(at) : `${hex(at)}5`;
}

// ---- events ---------------------------------------------------------------------------------------------------------

async function events(tx: Tx, window: Window): Promise<Source> {
  const { machineId, operation, since, last, limit } = window;
  const rows = await tx.timeline.list({
    machineId,
    ...(operation !== undefined && { operationId: operation }),
    ...(since !== undefined && { above: eventIdAt(since) }),
    ...(last < Number.MAX_SAFE_INTEGER && { below: eventsBelow(window) }),
    limit,
  });
  const placed = rows.map((row) => ({ key: keyAt(row.at, ranks.event, row.id), entry: eventEntry(row) }));
  return { placed, complete: rows.length < limit ? '' : placed.at(-1)!.key };
}

/** What the ids of events are less than whose keys are less than the cursor. */
function eventsBelow({ below, last }: Window): string {
  if (below === null || below.slice(0, 12) !== hex(last)) return eventIdAt(last + 1);
  const rank = below.at(12) ?? ranks.begun;
  if (rank === ranks.event) return below.slice(13);
  return eventIdAt(rank > ranks.event ? last + 1 : last);
}

function eventEntry(event: TimelineEvent): TimelineEntry {
  const { id, at, kind, operationId, text, before, after, took, who } = event;
  return {
    ...{ id, at, kind, operationId, text, before, after, took, who },
    outcome: null,
    evidence: null,
    error: null,
  };
}

// ---- operations and their steps -------------------------------------------------------------------------------------

interface OperationsSource extends Source {
  readonly setBack: ReadonlyMap<string, SetBack>;
}

async function operations(tx: Tx, window: Window): Promise<OperationsSource> {
  const { machineId, operation, last, since = 0 } = window;
  let records: readonly OperationRecord[];
  if (operation === undefined) {
    records = await tx.journal.list({
      machineId,
      ...(last < Number.MAX_SAFE_INTEGER && { createdBefore: last + 1 }),
      limit: operationsPerPage,
    });
  } else {
    const one = await tx.journal.find(operation);
    records = one?.machineId === machineId ? [one] : [];
  }
  const oldest = records.length === operationsPerPage ? records.at(-1)! : null;
  const shown = records.filter(({ endedAt }) => endedAt === null || endedAt >= since);
  const steps = shown.length === 0 ? [] : await tx.journal.stepsOf(shown.map(({ id }) => id));
  const setBack = new Map<string, SetBack>();
  const placed = shown.flatMap((operation) => {
    const own = steps.filter(({ operationId }) => operationId === operation.id);
    const story = storyOf(operation, own);
    if (story.setBack > 0) setBack.set(operation.id, { from: operation.createdAt, by: story.setBack });
    return story.placed;
  });
  return {
    placed,
    setBack,
    complete: oldest && oldest.createdAt >= since ? after(oldest.createdAt, last) : '',
  };
}

/** An operation with its steps, in the order of their numbers: where the clock was set back meanwhile, times alone would mix them. */
function storyOf(
  operation: OperationRecord,
  steps: readonly StepRecord[],
): { readonly placed: readonly Placed[]; readonly setBack: number } {
  let setBack = 0;
  let latest = operation.createdAt;
  const later = (at: number): number => {
    setBack = Math.max(setBack, latest - at);
    latest = at + setBack;
    return latest;
  };
  const inTurn = [...steps].sort((a, b) => a.seq - b.seq);
  const placed = inTurn.map((step) => {
    const from = later(step.startedAt);
    return stepEntry(step, { from, to: step.endedAt === null ? null : later(step.endedAt) });
  });
  const endedAt = operation.endedAt === null ? null : later(operation.endedAt);
  return { placed: [...operationEntries(operation, endedAt), ...placed], setBack };
}

/** Its beginning, its end, and that somebody asked for it. @param ended where its end belongs */
function operationEntries(operation: OperationRecord, ended: number | null): readonly Placed[] {
  const { id, kind, joinKey, machineId, requester, createdAt, cancel, endedAt, state, error } = operation;
  const text = joinKey === machineId ? kind : `${kind} of ${joinKey}`;
  const base = { kind: 'operation', operationId: id, text, ...nothing } as const;
  const placed: Placed[] = [
    {
      key: keyAt(createdAt, ranks.begun, id),
      entry: { ...base, id: `${id}:begun`, at: createdAt, outcome: 'begun', who: requester },
    },
  ];
  if (cancel)
    placed.push({
      key: keyAt(Math.max(cancel.at, createdAt), ranks.step, id),
      entry: { ...base, id: `${id}:cancel`, at: cancel.at, outcome: 'cancel-asked', who: cancel.requester },
    });
  if (endedAt !== null && ended !== null)
    placed.push({
      key: keyAt(ended, ranks.ended, id),
      entry: {
        ...base,
        id: `${id}:ended`,
        at: endedAt,
        outcome: state,
        error: errorOf(error),
        took: ended - createdAt,
      },
    });
  return placed;
}

/** @param place where it belongs */
function stepEntry(step: StepRecord, place: { readonly from: number; readonly to: number | null }): Placed {
  const { operationId, seq, name, direction, attempt, state, startedAt, endedAt, progress } = step;
  const at = endedAt ?? startedAt;
  const id = `${operationId}:${String(seq).padStart(4, '0')}`;
  const again = attempt > 1 ? ` (attempt ${attempt})` : '';
  const activity = state === 'intent' && progress ? `: ${progress.activity}` : '';
  return {
    key: keyAt(place.to ?? place.from, ranks.step, id),
    entry: {
      ...nothing,
      id,
      at,
      kind: 'step',
      operationId,
      text: `${direction === 'undo' ? 'undo ' : ''}${name}${again}${activity}`,
      outcome: state === 'intent' ? 'running' : state,
      evidence: step.evidence && { summary: step.evidence.summary, verified: step.evidence.verified },
      error: errorOf(step.error),
      took: place.to === null ? null : place.to - place.from,
    },
  };
}

const nothing = { before: null, after: null, evidence: null, error: null, took: null, who: null } as const;

function errorOf(error: ErrorRecord | null): TimelineEntry['error'] {
  if (!error) return null;
  const { code, what, where, said } = error;
  return { code, what, ...(where !== undefined && { where }), ...(said !== undefined && { said }) };
}

// ---- alarms ---------------------------------------------------------------------------------------------------------

async function alarms(tx: Tx, { machineId, operation, last, since = 0 }: Window): Promise<Source> {
  // Nobody says which operation an alarm belongs to.
  if (operation !== undefined) return { placed: [], complete: '' };
  const found = await tx.alarms.list(
    alarmsPerPage,
    [machineId],
    last < Number.MAX_SAFE_INTEGER ? last + 1 : undefined,
  );
  const placed = found.map((alarm) => ({
    key: keyAt(alarm.at, ranks.alarm, alarm.id),
    entry: alarmEntry(alarm),
  }));
  const oldest = found.length === alarmsPerPage ? found.at(-1)! : null;
  return { placed, complete: oldest && oldest.at >= since ? after(oldest.at, last) : '' };
}

function alarmEntry({ id, at, code, text }: Alarm): TimelineEntry {
  return { ...nothing, id, at, kind: 'alarm', operationId: null, text: `${text} [${code}]`, outcome: null };
}
