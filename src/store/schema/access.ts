import type { Role } from '../../core/access/principal.ts';
import { bigint, index, key, nullable, renamed, string, table, text, unique } from './columns.ts';

export interface PrincipalRow {
  name: string;
  role: Role;
  scope: string;
  tokenHash: string | null;
  createdAt: number;
  revokedAt: number | null;
  expiresAt: number | null;
  lastUsedAt: number | null;
}

export interface AlarmRow {
  id: string;
  at: number;
  code: string;
  machineId: string | null;
  text: string;
}

/** The ids of the keys with which something in this database may be sealed; never the keys. */
export interface SecretKeyRow {
  id: string;
  createdAt: number;
}

export const principalSchema = table<PrincipalRow>({
  name: 'principal',
  columns: {
    name: key(string(128)),
    role: string(16),
    scope: string(128),
    tokenHash: nullable(renamed('token_hash', string(64))),
    createdAt: renamed('created_at', bigint()),
    revokedAt: nullable(renamed('revoked_at', bigint())),
    expiresAt: nullable(renamed('expires_at', bigint())),
    lastUsedAt: nullable(renamed('last_used_at', bigint())),
  },
  indices: [unique('ux_principal_token', 'tokenHash')],
});

/** No foreign key to the machine: an alarm outlives it. */
export const alarmSchema = table<AlarmRow>({
  name: 'alarm',
  columns: {
    id: key(string(64)),
    at: bigint(),
    code: string(64),
    machineId: nullable(renamed('machine_id', string(36))),
    text: text(),
  },
  indices: [index('ix_alarm_at', 'at', 'id')],
});

export const secretKeySchema = table<SecretKeyRow>({
  name: 'secret_key',
  columns: { id: key(string(16)), createdAt: renamed('created_at', bigint()) },
});
