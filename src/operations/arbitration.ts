import type { OperationKind, OperationRecord } from '../core/storage/journal-records.ts';

/** What becomes of a command that meets an active operation on its machine (law 2). */
export type Verdict =
  /** It is the same command: it gets the running operation's answer. */
  | 'join'
  /** It waits until that operation is over, then is judged again. */
  | 'wait'
  /** That operation is cancelled at a safe point and undone; then this one is judged again. */
  | 'cancel'
  /** Refused with that operation's progress. */
  | 'refuse';

/**
 * The one arbitration table: active operation across, newcomer down. "own" = both concern the same instance.
 * Who may not cancel (another instance, another kind of holder) is refused before it comes here.
 */
const table: Readonly<
  Record<OperationKind, Readonly<Record<OperationKind, { readonly own: Verdict; readonly other: Verdict }>>>
> = {
  // newcomer: start
  start: {
    start: { own: 'join', other: 'refuse' },
    stop: { own: 'wait', other: 'refuse' },
    destroy: { own: 'refuse', other: 'refuse' },
    erase: { own: 'refuse', other: 'refuse' },
    commission: { own: 'refuse', other: 'refuse' },
  },
  // newcomer: stop
  stop: {
    start: { own: 'cancel', other: 'refuse' },
    stop: { own: 'join', other: 'refuse' },
    destroy: { own: 'join', other: 'refuse' },
    // Nobody holds a machine that is erased or commissioned.
    erase: { own: 'refuse', other: 'refuse' },
    commission: { own: 'refuse', other: 'refuse' },
  },
  // newcomer: destroy
  destroy: {
    start: { own: 'cancel', other: 'refuse' },
    stop: { own: 'wait', other: 'refuse' },
    destroy: { own: 'join', other: 'refuse' },
    erase: { own: 'refuse', other: 'refuse' },
    commission: { own: 'refuse', other: 'refuse' },
  },
  // newcomer: erase
  erase: {
    start: { own: 'refuse', other: 'refuse' },
    stop: { own: 'refuse', other: 'refuse' },
    destroy: { own: 'refuse', other: 'refuse' },
    erase: { own: 'join', other: 'join' },
    commission: { own: 'refuse', other: 'refuse' },
  },
  // newcomer: commission
  commission: {
    start: { own: 'refuse', other: 'refuse' },
    stop: { own: 'refuse', other: 'refuse' },
    destroy: { own: 'refuse', other: 'refuse' },
    erase: { own: 'refuse', other: 'refuse' },
    commission: { own: 'join', other: 'join' },
  },
};

/** Judges a newcomer; `joinKey` says whom it concerns (the instance, or the machine itself). */
export function arbitrate(
  active: Pick<OperationRecord, 'kind' | 'joinKey'>,
  newcomer: Pick<OperationRecord, 'kind' | 'joinKey'>,
): Verdict {
  const cell = table[newcomer.kind][active.kind];
  return active.joinKey === newcomer.joinKey ? cell.own : cell.other;
}
