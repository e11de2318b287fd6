import { createHash } from 'node:crypto';
import type { MachineId } from '../../core/machine/machine.ts';
import type { OperationKind, OperationRecord, OperationState } from '../../core/storage/journal-records.ts';
import type { Alarm } from '../../core/storage/storage.ts';

/** Levels of events, as MAAS orders them. */
export const eventLevels = { AUDIT: 0, DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50 } as const;

export type EventLevel = keyof typeof eventLevels;

/** Something that happened to a machine: the begin or end of an operation, or an alarm. */
export interface MachineEvent {
  /** Grows with time, and stays the same for good. */
  readonly id: number;
  readonly at: number;
  readonly machineId: MachineId | null;
  readonly level: EventLevel;
  readonly type: string;
  readonly description: string;
  /** Name of the principal that asked for it; empty = nobody did. */
  readonly username: string;
}

/** What the begin and the success of an operation are called in MAAS. */
const words: Readonly<Record<OperationKind, readonly [begun: string, done: string, failed: string]>> = {
  commission: ['Commissioning', 'Ready', 'Failed commissioning'],
  start: ['Deploying', 'Deployed', 'Failed deployment'],
  stop: ['Powering off', 'Node powered off', 'Failed to power off node'],
  reboot: ['Power cycling', 'Node power cycled', 'Failed to cycle power of node'],
  'plug-nic': ['Configuring network', 'Network configured', 'Failed to configure network'],
  'unplug-nic': ['Configuring network', 'Network configured', 'Failed to configure network'],
  destroy: ['Releasing', 'Released', 'Releasing failed'],
  erase: ['Erasing disks', 'Disks erased', 'Failed to erase disks'],
};

const ended: readonly OperationState[] = ['done', 'failed', 'cancelled'];

/** Begin and, once it is over, end of an operation. */
export function operationEvents(operation: OperationRecord): readonly MachineEvent[] {
  const { id, machineId, kind, state, createdAt, endedAt, requester, error } = operation;
  const [begun, done, failed] = words[kind];
  const common = { machineId, username: requester.principal };
  const first: MachineEvent = {
    ...common,
    id: eventId(createdAt, `${id} begun`),
    at: createdAt,
    level: 'INFO',
    type: begun,
    description: `${requester.principal} through ${requester.door}${requester.reason && `: ${requester.reason}`}`,
  };
  if (endedAt === null || !ended.includes(state)) return [first];
  const last: MachineEvent = {
    ...common,
    id: eventId(endedAt, `${id} ended`),
    at: endedAt,
    level: state === 'failed' ? 'ERROR' : state === 'cancelled' ? 'WARNING' : 'INFO',
    type: state === 'done' ? done : state === 'cancelled' ? `${begun} cancelled` : failed,
    description: error ? [error.code, error.what].join(': ') : '',
  };
  return [first, last];
}

/** `Failed deployment - image.no-match: ...`: what a failed operation left, for who polls the machine. */
export function failureText({ kind, error }: Pick<OperationRecord, 'kind' | 'error'>): string {
  const [, , failed] = words[kind];
  return error ? `${failed} - ${error.code}: ${error.what}` : failed;
}

export function alarmEvent({ id, at, code, machineId, text }: Alarm): MachineEvent {
  return {
    id: eventId(at, id),
    at,
    machineId,
    level: 'WARNING',
    type: 'Alarm',
    description: `${code}: ${text}`,
    username: '',
  };
}

/** The moment in milliseconds, and three digits that tell apart what happened within one. */
function eventId(at: number, key: string): number {
  return at * 1_000 + (createHash('sha256').update(key).digest().readUInt32BE() % 1_000);
}
