import type { DesiredPort, ObservedPort } from '../../../plugin-api/index.ts';
import type { PortPurpose } from '../../core/network/port-state.ts';
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
  text,
} from './columns.ts';

/** One row: the text last uploaded. */
export interface RackConfigRow {
  id: string;
  /** Sealed: the text holds the switches' passwords. */
  text: string;
  uploadedAt: number;
}

export interface SwitchRow {
  name: string;
  /** Order in the rack config, from 0. */
  position: number;
  fabric: string;
  type: string;
  transport: string;
  host: string;
  tcpPort: number;
  username: string;
  /** Sealed. */
  password: string;
  /** Sealed. */
  enablePassword: string | null;
  hostKeyPin: string | null;
  legacyCrypto: boolean;
  uplinks: readonly string[];
  /** A VLAN id, or `default-vlan`. */
  provisioning: string;
  /** A VLAN id, or `shut`. */
  park: string;
  defaultVlan: number | null;
  unsavedSince: number | null;
  version: number;
}

export interface WireRow {
  mac: string;
  /** Order in the rack config, from 0. */
  position: number;
  switch: string;
  port: string;
  server: string | null;
}

export interface PortStateRow {
  switch: string;
  port: string;
  machineId: string | null;
  purpose: PortPurpose;
  desired: DesiredPort;
  desiredVersion: number;
  observed: ObservedPort | null;
  observedVersion: number;
  observedAt: number | null;
}

export const rackConfigSchema = table<RackConfigRow>({
  name: 'rack_config',
  columns: { id: key(string(16)), text: text(), uploadedAt: renamed('uploaded_at', bigint()) },
});

export const switchSchema = table<SwitchRow>({
  name: 'switch',
  columns: {
    name: key(string(64)),
    position: int(),
    fabric: string(64),
    type: string(64),
    transport: string(16),
    host: string(255),
    tcpPort: renamed('tcp_port', int()),
    username: string(128),
    password: text(),
    enablePassword: nullable(renamed('enable_password', text())),
    hostKeyPin: nullable(renamed('host_key_pin', string(128))),
    legacyCrypto: renamed('legacy_crypto', flag()),
    uplinks: json(),
    provisioning: string(16),
    park: string(16),
    defaultVlan: nullable(renamed('default_vlan', int())),
    unsavedSince: nullable(renamed('unsaved_since', bigint())),
    version: int(),
  },
  indices: [index('ix_switch_fabric', 'fabric')],
  foreignKeys: [foreignKey('fk_switch_fabric', ['fabric'], 'fabric', ['name'], 'RESTRICT')],
});

export const wireSchema = table<WireRow>({
  name: 'wire',
  columns: {
    mac: key(string(17)),
    position: int(),
    switch: string(64),
    port: string(64),
    server: nullable(string(255)),
  },
  indices: [index('ix_wire_port', 'switch', 'port')],
  foreignKeys: [foreignKey('fk_wire_switch', ['switch'], 'switch', ['name'], 'CASCADE')],
});

/** No foreign key to the switch: what a port was left in must be known even after a rack config that drops the switch. */
export const portStateSchema = table<PortStateRow>({
  name: 'port_state',
  columns: {
    switch: key(string(64)),
    port: key(string(64)),
    machineId: nullable(renamed('machine_id', string(36))),
    purpose: string(16),
    desired: json(),
    desiredVersion: renamed('desired_version', int()),
    observed: nullable(json()),
    observedVersion: renamed('observed_version', int()),
    observedAt: nullable(renamed('observed_at', bigint())),
  },
  indices: [index('ix_port_state_machine', 'machineId')],
  foreignKeys: [foreignKey('fk_port_state_machine', ['machineId'], 'machine', ['id'], 'SET NULL')],
});
