import type { Role } from '../../core/access/principal.ts';
import { bigint, foreignKey, index, key, nullable, renamed, string, table, text, unique } from './columns.ts';

export interface PrincipalRow {
  name: string;
  role: Role;
  scope: string;
  tokenHash: string | null;
  createdAt: number;
  revokedAt: number | null;
  expiresAt: number | null;
  lastUsedAt: number | null;
  email: string;
  passwordHash: string | null;
}

export interface ApiKeyRow {
  tokenKey: string;
  consumerKey: string;
  /** Sealed. */
  secret: string;
  principal: string;
  name: string;
  createdAt: number;
}

export interface NonceRow {
  tokenKey: string;
  nonce: string;
  at: number;
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
    email: { ...string(255), default: '' },
    passwordHash: nullable(renamed('password_hash', string(255))),
  },
  indices: [unique('ux_principal_token', 'tokenHash')],
});

export const apiKeySchema = table<ApiKeyRow>({
  name: 'api_key',
  columns: {
    tokenKey: key(renamed('token_key', string(64))),
    consumerKey: renamed('consumer_key', string(64)),
    secret: text(),
    principal: string(128),
    name: string(255),
    createdAt: renamed('created_at', bigint()),
  },
  indices: [index('ix_api_key_principal', 'principal', 'createdAt')],
  foreignKeys: [foreignKey('fk_api_key_principal', ['principal'], 'principal', ['name'], 'CASCADE')],
});

export const nonceSchema = table<NonceRow>({
  name: 'oauth_nonce',
  columns: { tokenKey: key(renamed('token_key', string(64))), nonce: key(string(128)), at: bigint() },
  indices: [index('ix_oauth_nonce_at', 'at')],
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
  indices: [index('ix_alarm_at', 'at', 'id'), index('ix_alarm_machine', 'machineId', 'at', 'id')],
});

export const secretKeySchema = table<SecretKeyRow>({
  name: 'secret_key',
  columns: { id: key(string(16)), createdAt: renamed('created_at', bigint()) },
});
