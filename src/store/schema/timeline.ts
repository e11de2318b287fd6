import type { Requester } from '../../core/access/principal.ts';
import type { EventKind } from '../../core/storage/timeline.ts';
import { bigint, index, int, json, key, nullable, renamed, string, table, text } from './columns.ts';

export interface TimelineRow {
  id: string;
  at: number;
  machineId: string;
  operationId: string | null;
  kind: EventKind;
  text: string;
  before: string | null;
  after: string | null;
  took: number | null;
  who: Requester | null;
}

/**
 * No foreign keys: what happened outlives its operations, and its machine. The id sorts by time, so that a row is found and
 * pruned by its keys, and by no further index that every write would have to keep.
 */
export const timelineSchema = table<TimelineRow>({
  name: 'timeline',
  columns: {
    id: key(string(64)),
    at: bigint(),
    machineId: renamed('machine_id', string(36)),
    operationId: nullable(renamed('operation_id', string(64))),
    kind: string(16),
    text: text(),
    before: nullable(renamed('state_before', text())),
    after: nullable(renamed('state_after', text())),
    took: nullable(int()),
    who: nullable(json()),
  },
  indices: [index('ix_timeline_machine', 'machineId', 'id')],
});
