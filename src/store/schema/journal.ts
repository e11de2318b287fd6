import type { Evidence } from '../../../plugin-api/index.ts';
import type { Requester } from '../../core/access/principal.ts';
import type { ErrorRecord, OperationRecord, StepRecord } from '../../core/storage/journal-records.ts';
import {
  bigint,
  foreignKey,
  index,
  int,
  json,
  key,
  nullable,
  renamed,
  string,
  table,
  text,
  unique,
} from './columns.ts';

export interface OperationRow {
  id: string;
  machineId: string;
  /** The machine's id while the operation is active, then null: its unique index allows one active operation per machine. */
  activeMachineId: string | null;
  kind: OperationRecord['kind'];
  listVersion: number;
  state: OperationRecord['state'];
  joinKey: string;
  /** Sealed JSON: a command carries the tenant's user data. */
  input: string;
  /** Sealed JSON, for the same reason. */
  context: string;
  requester: Requester;
  createdAt: number;
  deadlineAt: number;
  timeLeft: number | null;
  endedAt: number | null;
  cancel: OperationRecord['cancel'];
  error: ErrorRecord | null;
  undoError: ErrorRecord | null;
  result: OperationRecord['result'];
  leaseOwner: string | null;
  fence: number;
}

export interface StepRow {
  operationId: string;
  seq: number;
  name: string;
  kind: StepRecord['kind'];
  direction: StepRecord['direction'];
  attempt: number;
  state: StepRecord['state'];
  startedAt: number;
  endedAt: number | null;
  progress: StepRecord['progress'];
  evidence: Evidence | null;
  error: ErrorRecord | null;
}

/** No foreign key to the machine: enrolment begins before the machine is there, and the journal outlives it. */
export const operationSchema = table<OperationRow>({
  name: 'operation',
  columns: {
    id: key(string(64)),
    machineId: renamed('machine_id', string(36)),
    activeMachineId: nullable(renamed('active_machine_id', string(36))),
    kind: string(16),
    listVersion: renamed('list_version', int()),
    state: string(16),
    joinKey: renamed('join_key', string(255)),
    input: text(),
    context: text(),
    requester: json(),
    createdAt: renamed('created_at', bigint()),
    deadlineAt: renamed('deadline_at', bigint()),
    timeLeft: nullable(renamed('time_left', bigint())),
    endedAt: nullable(renamed('ended_at', bigint())),
    cancel: nullable(json()),
    error: nullable(json()),
    undoError: nullable(renamed('undo_error', json())),
    result: nullable(json()),
    leaseOwner: nullable(renamed('lease_owner', string(128))),
    fence: int(),
  },
  indices: [
    unique('ux_operation_active', 'activeMachineId'),
    index('ix_operation_machine', 'machineId', 'createdAt', 'id'),
    index('ix_operation_kind', 'kind', 'createdAt', 'id'),
    index('ix_operation_created', 'createdAt', 'id'),
    index('ix_operation_lease', 'leaseOwner', 'activeMachineId'),
  ],
});

export const stepSchema = table<StepRow>({
  name: 'step',
  columns: {
    operationId: key(renamed('operation_id', string(64))),
    seq: key(int()),
    name: string(64),
    kind: string(16),
    direction: string(8),
    attempt: int(),
    state: string(16),
    startedAt: renamed('started_at', bigint()),
    endedAt: nullable(renamed('ended_at', bigint())),
    progress: nullable(json()),
    evidence: nullable(json()),
    error: nullable(json()),
  },
  foreignKeys: [foreignKey('fk_step_operation', ['operationId'], 'operation', ['id'], 'CASCADE')],
});
