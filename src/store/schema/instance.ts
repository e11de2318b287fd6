import type { JsonObject } from '../../../plugin-api/index.ts';
import {
  bigint,
  flag,
  foreignKey,
  index,
  int,
  json,
  key,
  nullable,
  renamed,
  string,
  table,
} from './columns.ts';

export interface InstanceRow {
  id: string;
  name: string;
  version: string;
  adminUrl: string | null;
  process: string;
  state: string;
  startedAt: number;
  endedAt: number | null;
  reason: string | null;
}

/** Apart from the instance's row, which every unit of work that writes locks for a moment: a beat never waits for one. */
export interface InstanceBeatRow {
  instanceId: string;
  beat: number;
}

export interface LeaseRow {
  name: string;
  kind: string;
  owner: string | null;
  lost: boolean;
  notes: number;
}

export interface DeviceRequestRow {
  id: string;
  device: string;
  instanceId: string;
  kind: string;
  body: JsonObject;
  state: string;
  outcome: JsonObject | null;
  createdAt: number;
}

export const instanceSchema = table<InstanceRow>({
  name: 'instance',
  columns: {
    id: key(string(64)),
    name: string(255),
    version: string(32),
    adminUrl: nullable(renamed('admin_url', string(255))),
    process: string(255),
    state: string(16),
    startedAt: renamed('started_at', bigint()),
    endedAt: nullable(renamed('ended_at', bigint())),
    reason: nullable(string(255)),
  },
  indices: [index('ix_instance_state', 'state')],
});

export const instanceBeatSchema = table<InstanceBeatRow>({
  name: 'instance_beat',
  columns: { instanceId: key(renamed('instance_id', string(64))), beat: int() },
  foreignKeys: [foreignKey('fk_instance_beat_instance', ['instanceId'], 'instance', ['id'], 'CASCADE')],
});

export const leaseSchema = table<LeaseRow>({
  name: 'lease',
  columns: {
    name: key(string(128)),
    kind: string(16),
    owner: nullable(string(64)),
    lost: flag(),
    notes: int(),
  },
  indices: [index('ix_lease_owner', 'owner', 'kind', 'notes')],
});

export const deviceRequestSchema = table<DeviceRequestRow>({
  name: 'device_request',
  columns: {
    id: key(string(64)),
    device: string(128),
    instanceId: renamed('instance_id', string(64)),
    kind: string(16),
    body: json(),
    state: string(16),
    outcome: nullable(json()),
    createdAt: renamed('created_at', bigint()),
  },
  indices: [index('ix_device_request_state', 'state', 'createdAt')],
});
