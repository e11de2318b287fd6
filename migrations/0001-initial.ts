import {
  Table,
  type MigrationInterface,
  type QueryRunner,
  type TableColumnOptions,
  type TableForeignKeyOptions,
  type TableIndexOptions,
  type TableOptions,
} from 'typeorm';

/** The first schema. A migration is a snapshot: it shares nothing with the schemas in `src/store`, which move on. */
export class Initial implements MigrationInterface {
  readonly name = 'Initial1763683200000';

  async up(runner: QueryRunner): Promise<void> {
    // MySQL commits each CREATE TABLE by itself: an attempt that was cut off goes on where it stopped.
    for (const options of tables(runner)) await runner.createTable(new Table(options), true);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const { name } of tables(runner).reverse()) await runner.dropTable(name, true);
  }
}

function tables(runner: QueryRunner): TableOptions[] {
  const { driver } = runner.dataSource;
  const varchar = (name: string, length: number): TableColumnOptions => ({
    name,
    type: 'varchar',
    length: String(length),
  });
  const text = (name: string): TableColumnOptions => ({ name, type: 'text' });
  const bigint = (name: string): TableColumnOptions => ({ name, type: 'bigint' });
  // SQLite reads an int back as integer; written as int it would show as drift for ever.
  const int = (name: string): TableColumnOptions => ({ name, type: driver.normalizeType({ type: 'int' }) });
  const key = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isPrimary: true });
  const nullable = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
  const index = (name: string, ...columnNames: string[]): TableIndexOptions => ({ name, columnNames });
  const unique = (name: string, ...columnNames: string[]): TableIndexOptions => ({
    name,
    columnNames,
    isUnique: true,
  });
  const foreignKey = (
    name: string,
    columnNames: string[],
    referencedTableName: string,
    referencedColumnNames: string[],
    onDelete: 'CASCADE' | 'RESTRICT' | 'SET NULL',
  ): TableForeignKeyOptions => ({
    name,
    columnNames,
    referencedTableName,
    referencedColumnNames,
    onDelete,
    onUpdate: 'NO ACTION',
  });
  return [
    {
      name: 'site',
      columns: [key(varchar('name', 64))],
    },
    {
      name: 'cloud',
      columns: [key(varchar('name', 64))],
    },
    {
      name: 'zone',
      columns: [key(varchar('cloud', 64)), key(varchar('name', 128))],
      foreignKeys: [foreignKey('fk_zone_cloud', ['cloud'], 'cloud', ['name'], 'RESTRICT')],
    },
    {
      name: 'pod',
      columns: [key(varchar('cloud', 64)), key(varchar('zone', 128)), key(varchar('name', 128))],
      foreignKeys: [foreignKey('fk_pod_zone', ['cloud', 'zone'], 'zone', ['cloud', 'name'], 'RESTRICT')],
    },
    {
      name: 'cluster',
      columns: [
        key(varchar('cloud', 64)),
        key(varchar('zone', 128)),
        key(varchar('pod', 128)),
        key(varchar('name', 128)),
      ],
      foreignKeys: [
        foreignKey('fk_cluster_pod', ['cloud', 'zone', 'pod'], 'pod', ['cloud', 'zone', 'name'], 'RESTRICT'),
      ],
    },
    {
      name: 'fabric',
      columns: [key(varchar('name', 64))],
    },
    {
      name: 'vlan',
      columns: [key(varchar('fabric', 64)), key(int('id')), varchar('name', 64)],
      foreignKeys: [foreignKey('fk_vlan_fabric', ['fabric'], 'fabric', ['name'], 'CASCADE')],
    },
    {
      name: 'subnet',
      columns: [
        key(varchar('fabric', 64)),
        key(varchar('cidr', 64)),
        int('vlan'),
        nullable(varchar('gateway', 45)),
        nullable(varchar('range_start', 45)),
        nullable(varchar('range_end', 45)),
      ],
      foreignKeys: [foreignKey('fk_subnet_vlan', ['fabric', 'vlan'], 'vlan', ['fabric', 'id'], 'CASCADE')],
    },
    {
      name: 'rack_config',
      columns: [key(varchar('id', 16)), text('text'), bigint('uploaded_at')],
    },
    {
      name: 'switch',
      columns: [
        key(varchar('name', 64)),
        int('position'),
        varchar('fabric', 64),
        varchar('type', 64),
        varchar('transport', 16),
        varchar('host', 255),
        int('tcp_port'),
        varchar('username', 128),
        text('password'),
        nullable(text('enable_password')),
        nullable(varchar('host_key_pin', 128)),
        int('legacy_crypto'),
        text('uplinks'),
        varchar('provisioning', 16),
        varchar('park', 16),
        nullable(int('default_vlan')),
        nullable(bigint('unsaved_since')),
        int('version'),
      ],
      indices: [index('ix_switch_fabric', 'fabric')],
      foreignKeys: [foreignKey('fk_switch_fabric', ['fabric'], 'fabric', ['name'], 'RESTRICT')],
    },
    {
      name: 'wire',
      columns: [
        key(varchar('mac', 17)),
        int('position'),
        varchar('switch', 64),
        varchar('port', 64),
        nullable(varchar('server', 255)),
      ],
      indices: [index('ix_wire_port', 'switch', 'port')],
      foreignKeys: [foreignKey('fk_wire_switch', ['switch'], 'switch', ['name'], 'CASCADE')],
    },
    {
      name: 'machine',
      columns: [
        key(varchar('id', 36)),
        varchar('hostname', 255),
        varchar('state', 16),
        varchar('site', 64),
        varchar('pool', 64),
        varchar('engine', 32),
        varchar('wiring', 16),
        nullable(varchar('bmc_driver', 32)),
        nullable(varchar('bmc_host', 255)),
        nullable(int('bmc_port')),
        nullable(varchar('bmc_username', 128)),
        nullable(text('bmc_password')),
        nullable(text('bmc_kg')),
        nullable(varchar('bmc_privilege', 16)),
        nullable(int('bmc_min_suite')),
        nullable(int('bmc_known_suite')),
        varchar('firmware', 16),
        varchar('architecture', 32),
        int('cpus'),
        bigint('memory_bytes'),
        varchar('serial', 128),
        varchar('product', 255),
        nullable(varchar('root_disk_serial', 128)),
        nullable(varchar('cloud', 64)),
        nullable(varchar('zone', 128)),
        nullable(varchar('pod', 128)),
        nullable(varchar('cluster', 128)),
        nullable(varchar('guid', 255)),
        nullable(varchar('host_id', 32)),
        nullable(varchar('host_tag', 255)),
        nullable(text('clean')),
        nullable(text('quarantine')),
        nullable(varchar('power_state', 8)),
        nullable(bigint('power_at')),
        bigint('created_at'),
        int('version'),
      ],
      indices: [
        unique('ux_machine_hostname', 'hostname'),
        unique('ux_machine_bmc', 'bmc_host', 'bmc_port'),
        unique('ux_machine_guid', 'cloud', 'guid'),
        index('ix_machine_site', 'site'),
        index('ix_machine_cluster', 'cloud', 'zone', 'pod', 'cluster'),
      ],
      foreignKeys: [
        foreignKey('fk_machine_site', ['site'], 'site', ['name'], 'RESTRICT'),
        foreignKey(
          'fk_machine_cluster',
          ['cloud', 'zone', 'pod', 'cluster'],
          'cluster',
          ['cloud', 'zone', 'pod', 'name'],
          'RESTRICT',
        ),
      ],
    },
    {
      name: 'interface',
      columns: [
        key(varchar('mac', 17)),
        varchar('machine_id', 36),
        int('position'),
        varchar('name', 64),
        int('link_up'),
        nullable(int('speed_mbps')),
        nullable(varchar('neighbour', 255)),
      ],
      indices: [unique('ux_interface_machine', 'machine_id', 'position')],
      foreignKeys: [foreignKey('fk_interface_machine', ['machine_id'], 'machine', ['id'], 'CASCADE')],
    },
    {
      name: 'disk',
      columns: [
        key(varchar('machine_id', 36)),
        key(int('position')),
        varchar('name', 64),
        varchar('model', 255),
        varchar('serial', 128),
        bigint('bytes'),
        int('rotational'),
        int('removable'),
        int('read_only'),
      ],
      foreignKeys: [foreignKey('fk_disk_machine', ['machine_id'], 'machine', ['id'], 'CASCADE')],
    },
    {
      name: 'port_state',
      columns: [
        key(varchar('switch', 64)),
        key(varchar('port', 64)),
        nullable(varchar('machine_id', 36)),
        varchar('purpose', 16),
        text('desired'),
        int('desired_version'),
        nullable(text('observed')),
        int('observed_version'),
        nullable(bigint('observed_at')),
      ],
      indices: [index('ix_port_state_machine', 'machine_id')],
      foreignKeys: [foreignKey('fk_port_state_machine', ['machine_id'], 'machine', ['id'], 'SET NULL')],
    },
    {
      name: 'image',
      columns: [
        key(varchar('name', 128)),
        int('can_bond'),
        varchar('first_boot', 16),
        bigint('raw_bytes'),
        varchar('encoding', 16),
        bigint('stored_bytes'),
        varchar('sha256', 64),
        text('aliases'),
        varchar('file', 255),
        bigint('created_at'),
        int('version'),
      ],
    },
    {
      name: 'claim',
      columns: [
        key(varchar('machine_id', 36)),
        varchar('holder', 16),
        varchar('external_id', 255),
        varchar('owner', 255),
        bigint('since'),
        int('version'),
      ],
      indices: [unique('ux_claim_external_id', 'external_id')],
      foreignKeys: [foreignKey('fk_claim_machine', ['machine_id'], 'machine', ['id'], 'RESTRICT')],
    },
    {
      name: 'deployment',
      columns: [
        key(varchar('id', 64)),
        varchar('machine_id', 36),
        nullable(varchar('current_machine_id', 36)),
        varchar('external_id', 255),
        varchar('image', 128),
        text('nic_plan'),
        text('first_boot'),
        text('network'),
        varchar('state', 16),
        nullable(text('evidence')),
        bigint('created_at'),
        nullable(bigint('ended_at')),
        int('version'),
      ],
      indices: [
        unique('ux_deployment_current', 'current_machine_id'),
        index('ix_deployment_machine', 'machine_id', 'created_at'),
      ],
    },
    {
      name: 'operation',
      columns: [
        key(varchar('id', 64)),
        varchar('machine_id', 36),
        nullable(varchar('active_machine_id', 36)),
        varchar('kind', 16),
        int('list_version'),
        varchar('state', 16),
        varchar('join_key', 255),
        text('input'),
        text('context'),
        text('requester'),
        bigint('created_at'),
        bigint('deadline_at'),
        nullable(bigint('ended_at')),
        nullable(text('cancel')),
        nullable(text('error')),
        nullable(text('undo_error')),
        nullable(text('result')),
        nullable(varchar('lease_owner', 128)),
        int('fence'),
        int('heartbeat'),
      ],
      indices: [
        unique('ux_operation_active', 'active_machine_id'),
        index('ix_operation_machine', 'machine_id', 'created_at', 'id'),
        index('ix_operation_kind', 'kind', 'created_at', 'id'),
        index('ix_operation_created', 'created_at', 'id'),
      ],
    },
    {
      name: 'step',
      columns: [
        key(varchar('operation_id', 64)),
        key(int('seq')),
        varchar('name', 64),
        varchar('kind', 16),
        varchar('direction', 8),
        int('attempt'),
        varchar('state', 16),
        bigint('started_at'),
        nullable(bigint('ended_at')),
        nullable(text('progress')),
        nullable(text('evidence')),
        nullable(text('error')),
      ],
      foreignKeys: [foreignKey('fk_step_operation', ['operation_id'], 'operation', ['id'], 'CASCADE')],
    },
    {
      name: 'boot_conversation',
      columns: [
        key(varchar('id', 64)),
        varchar('machine_id', 36),
        text('macs'),
        varchar('phase', 16),
        nullable(varchar('image', 128)),
        text('payload'),
        varchar('state', 16),
        nullable(varchar('token_hash', 64)),
        nullable(bigint('armed_at')),
        nullable(varchar('asker', 255)),
        text('activity'),
        nullable(text('percent')),
        nullable(bigint('last_seen')),
        nullable(text('evidence')),
        nullable(text('inventory')),
        nullable(text('error')),
        int('version'),
      ],
      indices: [
        unique('ux_boot_conversation_token', 'token_hash'),
        index('ix_boot_conversation_machine', 'machine_id'),
      ],
    },
    {
      name: 'boot_mac',
      columns: [key(varchar('mac', 17)), key(varchar('conversation_id', 64))],
      indices: [index('ix_boot_mac_conversation', 'conversation_id')],
      foreignKeys: [
        foreignKey('fk_boot_mac_conversation', ['conversation_id'], 'boot_conversation', ['id'], 'CASCADE'),
      ],
    },
    {
      name: 'principal',
      columns: [
        key(varchar('name', 128)),
        varchar('role', 16),
        varchar('scope', 128),
        nullable(varchar('token_hash', 64)),
        bigint('created_at'),
        nullable(bigint('revoked_at')),
      ],
      indices: [unique('ux_principal_token', 'token_hash')],
    },
    {
      name: 'alarm',
      columns: [
        key(varchar('id', 64)),
        bigint('at'),
        varchar('code', 64),
        nullable(varchar('machine_id', 36)),
        text('text'),
      ],
      indices: [index('ix_alarm_at', 'at', 'id')],
    },
    {
      name: 'secret_key',
      columns: [key(varchar('id', 16)), bigint('created_at')],
    },
  ];
}
