import {
  Table,
  TableColumn,
  type MigrationInterface,
  type QueryRunner,
  type TableColumnOptions,
  type TableOptions,
} from 'typeorm';

/**
 * What MAAS clients bring: keys, pools, what they say about machines, and the things that they make and number. VLANs and
 * subnets are among those; their first tables never had a writer.
 */
export class MaasClients implements MigrationInterface {
  readonly name = 'MaasClients1763942400000';

  async up(runner: QueryRunner): Promise<void> {
    // MySQL commits each statement by itself: an attempt that was cut off goes on where it stopped.
    for (const name of ['subnet', 'vlan']) await runner.dropTable(name, true);
    for (const options of newTables(runner)) await runner.createTable(new Table(options), true);
    for (const column of principalColumns)
      if (!(await runner.hasColumn('principal', column.name)))
        await runner.addColumn('principal', new TableColumn(column));
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const { name } of principalColumns.toReversed())
      if (await runner.hasColumn('principal', name)) await runner.dropColumn('principal', name);
    for (const { name } of newTables(runner).reverse()) await runner.dropTable(name, true);
    for (const options of oldTables(runner)) await runner.createTable(new Table(options), true);
  }
}

const varchar = (name: string, length: number): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
});
const text = (name: string): TableColumnOptions => ({ name, type: 'text' });
const bigint = (name: string): TableColumnOptions => ({ name, type: 'bigint' });
const key = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isPrimary: true });
const nullable = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });

const principalColumns: readonly TableColumnOptions[] = [
  { ...varchar('email', 255), default: "''" },
  nullable(varchar('password_hash', 255)),
];

/** SQLite reads an int back as integer; written as int it would show as drift for ever. */
function intOf(runner: QueryRunner) {
  return (name: string): TableColumnOptions => ({
    name,
    type: runner.dataSource.driver.normalizeType({ type: 'int' }),
  });
}

function newTables(runner: QueryRunner): TableOptions[] {
  const int = intOf(runner);
  return [
    {
      name: 'pool',
      columns: [
        key(varchar('name', 64)),
        int('id'),
        varchar('description', 255),
        text('doors'),
        int('trusted'),
        int('version'),
      ],
      indices: [{ name: 'ux_pool_id', columnNames: ['id'], isUnique: true }],
    },
    {
      name: 'machine_profile',
      columns: [key(varchar('machine_id', 36)), text('body'), int('version')],
      foreignKeys: [
        {
          name: 'fk_machine_profile_machine',
          columnNames: ['machine_id'],
          referencedTableName: 'machine',
          referencedColumnNames: ['id'],
          onDelete: 'CASCADE',
          onUpdate: 'NO ACTION',
        },
      ],
    },
    {
      name: 'api_key',
      columns: [
        key(varchar('token_key', 64)),
        varchar('consumer_key', 64),
        text('secret'),
        varchar('principal', 128),
        varchar('name', 255),
        bigint('created_at'),
      ],
      indices: [{ name: 'ix_api_key_principal', columnNames: ['principal', 'created_at'] }],
      foreignKeys: [
        {
          name: 'fk_api_key_principal',
          columnNames: ['principal'],
          referencedTableName: 'principal',
          referencedColumnNames: ['name'],
          onDelete: 'CASCADE',
          onUpdate: 'NO ACTION',
        },
      ],
    },
    {
      name: 'oauth_nonce',
      columns: [key(varchar('token_key', 64)), key(varchar('nonce', 128)), bigint('at')],
      indices: [{ name: 'ix_oauth_nonce_at', columnNames: ['at'] }],
    },
    {
      name: 'record',
      columns: [
        key(varchar('kind', 32)),
        key(int('id')),
        nullable(varchar('name', 255)),
        nullable(varchar('owner', 128)),
        text('body'),
        int('version'),
      ],
      indices: [{ name: 'ux_record_name', columnNames: ['kind', 'name'], isUnique: true }],
    },
    { name: 'record_sequence', columns: [key(varchar('kind', 32)), int('next')] },
  ];
}

/** As the first migration made them. */
function oldTables(runner: QueryRunner): TableOptions[] {
  const int = intOf(runner);
  const cascade = { onDelete: 'CASCADE', onUpdate: 'NO ACTION' } as const;
  return [
    {
      name: 'vlan',
      columns: [key(varchar('fabric', 64)), key(int('id')), varchar('name', 64)],
      foreignKeys: [
        {
          ...cascade,
          name: 'fk_vlan_fabric',
          columnNames: ['fabric'],
          referencedTableName: 'fabric',
          referencedColumnNames: ['name'],
        },
      ],
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
      foreignKeys: [
        {
          ...cascade,
          name: 'fk_subnet_vlan',
          columnNames: ['fabric', 'vlan'],
          referencedTableName: 'vlan',
          referencedColumnNames: ['fabric', 'id'],
        },
      ],
    },
  ];
}
