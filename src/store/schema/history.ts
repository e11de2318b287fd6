import type { JsonObject } from '../../../plugin-api/index.ts';
import { bigint, int, json, key, nullable, renamed, string, table } from './columns.ts';

/** The one row that says what this database is, and whether it was restored. */
export interface HistoryRow {
  id: string;
  databaseId: string;
  generation: number;
  starts: number;
  restored: JsonObject | null;
  version: number;
}

/** No foreign key to the machine: that it was forgotten is part of its history. */
export interface MachineHistoryRow {
  machineId: string;
  operations: number;
  compared: JsonObject | null;
}

export const historySchema = table<HistoryRow>({
  name: 'history',
  columns: {
    id: key(string(16)),
    databaseId: renamed('database_id', string(64)),
    generation: int(),
    starts: bigint(),
    restored: nullable(json()),
    version: int(),
  },
});

export const machineHistorySchema = table<MachineHistoryRow>({
  name: 'machine_history',
  columns: {
    machineId: key(renamed('machine_id', string(36))),
    operations: bigint(),
    compared: nullable(json()),
  },
});
