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
 * The one arbitration table for commands that concern the same subject (the same instance, or the machine itself): newcomer,
 * then active operation. What is not in it is refused, as is everything that concerns another subject.
 */
const table: Readonly<Record<OperationKind, Readonly<Partial<Record<OperationKind, Verdict>>>>> = {
  start: { start: 'join', stop: 'wait', reboot: 'wait', 'plug-nic': 'wait', 'unplug-nic': 'wait' },
  stop: {
    start: 'cancel',
    stop: 'join',
    reboot: 'wait',
    destroy: 'join',
    'plug-nic': 'wait',
    'unplug-nic': 'wait',
  },
  reboot: { start: 'wait', stop: 'wait', reboot: 'join', 'plug-nic': 'wait', 'unplug-nic': 'wait' },
  destroy: {
    start: 'cancel',
    stop: 'wait',
    reboot: 'wait',
    destroy: 'join',
    'plug-nic': 'wait',
    'unplug-nic': 'wait',
  },
  'plug-nic': { start: 'wait', stop: 'wait', reboot: 'wait', 'plug-nic': 'join', 'unplug-nic': 'wait' },
  'unplug-nic': { start: 'wait', stop: 'wait', reboot: 'wait', 'plug-nic': 'wait', 'unplug-nic': 'join' },
  erase: { erase: 'join' },
  commission: { commission: 'join' },
};

/** What arbitration looks at: `subject` says whom a command concerns, `joinKey` what exactly it asks for. */
export interface Contender {
  readonly kind: OperationKind;
  readonly subject: string;
  readonly joinKey: string;
}

/** Judges a newcomer against the operation that is active on its machine. */
export function arbitrate(active: Contender, newcomer: Contender): Verdict {
  if (active.subject !== newcomer.subject) return 'refuse';
  const verdict = table[newcomer.kind][active.kind] ?? 'refuse';
  // The same kind of command about something else, another NIC say, is not the same command.
  return verdict === 'join' && active.kind === newcomer.kind && active.joinKey !== newcomer.joinKey
    ? 'wait'
    : verdict;
}

/** Whom a journaled operation concerns: the instance in its input, or the machine. */
export function subjectOf(operation: Pick<OperationRecord, 'input' | 'machineId'>): string {
  const { externalId } = operation.input;
  return typeof externalId === 'string' ? externalId : operation.machineId;
}
