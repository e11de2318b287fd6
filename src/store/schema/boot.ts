import type { Evidence, Inventory } from '../../../plugin-api/index.ts';
import type { BootRecord } from '../../core/storage/boot-record.ts';
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

/** One boot conversation. */
export interface BootConversationRow {
  /** The order's id. */
  id: string;
  machineId: string;
  macs: readonly string[];
  phase: BootRecord['order']['phase'];
  image: string | null;
  /** Sealed JSON of the order's work and first-boot files. */
  payload: string;
  state: BootRecord['state'];
  tokenHash: string | null;
  armedAt: number | null;
  asker: string | null;
  activity: string;
  /** As JSON, since percentages may have fractions. */
  percent: number | null;
  lastSeen: number | null;
  evidence: Evidence | null;
  inventory: Inventory | null;
  error: BootRecord['error'];
  version: number;
}

/** A MAC whose boot requests belong to a conversation that is not over; the row goes when it is. */
export interface BootMacRow {
  mac: string;
  conversationId: string;
}

export const bootConversationSchema = table<BootConversationRow>({
  name: 'boot_conversation',
  columns: {
    id: key(string(64)),
    machineId: renamed('machine_id', string(36)),
    macs: json(),
    phase: string(16),
    image: nullable(string(128)),
    payload: text(),
    state: string(16),
    tokenHash: nullable(renamed('token_hash', string(64))),
    armedAt: nullable(renamed('armed_at', bigint())),
    asker: nullable(string(255)),
    activity: text(),
    percent: nullable(json()),
    lastSeen: nullable(renamed('last_seen', bigint())),
    evidence: nullable(json()),
    inventory: nullable(json()),
    error: nullable(json()),
    version: int(),
  },
  indices: [
    unique('ux_boot_conversation_token', 'tokenHash'),
    index('ix_boot_conversation_machine', 'machineId'),
  ],
});

export const bootMacSchema = table<BootMacRow>({
  name: 'boot_mac',
  columns: {
    mac: key(string(17)),
    conversationId: key(renamed('conversation_id', string(64))),
  },
  indices: [index('ix_boot_mac_conversation', 'conversationId')],
  foreignKeys: [
    foreignKey('fk_boot_mac_conversation', ['conversationId'], 'boot_conversation', ['id'], 'CASCADE'),
  ],
});
