import type { JsonObject } from '../../../plugin-api/index.ts';
import { int, json, key, nullable, string, table, unique } from './columns.ts';

export interface RecordRow {
  kind: string;
  id: number;
  name: string | null;
  owner: string | null;
  body: JsonObject;
  version: number;
}

/** The number that the next record of a kind gets: numbers are never used again. */
export interface RecordSequenceRow {
  kind: string;
  next: number;
}

export const recordSchema = table<RecordRow>({
  name: 'record',
  columns: {
    kind: key(string(32)),
    id: key(int()),
    name: nullable(string(255)),
    owner: nullable(string(128)),
    body: json(),
    version: int(),
  },
  indices: [unique('ux_record_name', 'kind', 'name')],
});

export const recordSequenceSchema = table<RecordSequenceRow>({
  name: 'record_sequence',
  columns: { kind: key(string(32)), next: int() },
});
