import { Table, TableIndex, type MigrationInterface, type QueryRunner, type TableOptions } from 'typeorm';

/**
 * Several instances on one database: who is alive, who holds which machine and which switch, what is asked of a holder. What is
 * counted up is the beat of an instance, and no longer each operation's.
 */
export class Instances implements MigrationInterface {
  readonly name = 'Instances1764115200000';

  async up(runner: QueryRunner): Promise<void> {
    // MySQL commits each statement by itself: an attempt that was cut off goes on where it stopped.
    for (const options of newTables(runner)) await runner.createTable(new Table(options), true);
    if (await runner.hasColumn('operation', 'heartbeat'))
      await runner.query('ALTER TABLE operation DROP COLUMN heartbeat');
    const operation = await runner.getTable('operation');
    if (!operation?.indices.some(({ name }) => name === leaseIndex.name))
      await runner.createIndex('operation', new TableIndex(leaseIndex));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE operation ADD COLUMN heartbeat int NOT NULL DEFAULT 0');
    await runner.dropIndex('operation', leaseIndex.name);
    for (const { name } of newTables(runner).reverse()) await runner.dropTable(name, true);
  }
}

const leaseIndex = { name: 'ix_operation_lease', columnNames: ['lease_owner', 'active_machine_id'] };

function newTables(runner: QueryRunner): TableOptions[] {
  const type = (name: 'int' | 'text'): string => {
    if (name === 'text' && ['mariadb', 'mysql'].includes(runner.dataSource.options.type)) return 'mediumtext';
    // SQLite reads an int back as integer; written as int it would show as drift for ever.
    return runner.dataSource.driver.normalizeType({ type: name });
  };
  const varchar = (name: string, length: number) => ({ name, type: 'varchar', length: String(length) });
  const key = <T extends object>(column: T): T & { isPrimary: true } => ({ ...column, isPrimary: true });
  const nullable = <T extends object>(column: T): T & { isNullable: true } => ({
    ...column,
    isNullable: true,
  });
  return [
    {
      name: 'instance',
      columns: [
        key(varchar('id', 64)),
        varchar('name', 255),
        varchar('version', 32),
        nullable(varchar('admin_url', 255)),
        varchar('process', 255),
        varchar('state', 16),
        { name: 'started_at', type: 'bigint' },
        nullable({ name: 'ended_at', type: 'bigint' }),
        nullable(varchar('reason', 255)),
      ],
      indices: [{ name: 'ix_instance_state', columnNames: ['state'] }],
    },
    {
      name: 'instance_beat',
      columns: [key(varchar('instance_id', 64)), { name: 'beat', type: type('int') }],
      foreignKeys: [
        {
          name: 'fk_instance_beat_instance',
          columnNames: ['instance_id'],
          referencedTableName: 'instance',
          referencedColumnNames: ['id'],
          onDelete: 'CASCADE',
          onUpdate: 'NO ACTION',
        },
      ],
    },
    {
      name: 'lease',
      columns: [
        key(varchar('name', 128)),
        varchar('kind', 16),
        nullable(varchar('owner', 64)),
        { name: 'lost', type: type('int') },
        { name: 'notes', type: type('int') },
      ],
      indices: [{ name: 'ix_lease_owner', columnNames: ['owner', 'kind', 'notes'] }],
    },
    {
      name: 'device_request',
      columns: [
        key(varchar('id', 64)),
        varchar('device', 128),
        varchar('instance_id', 64),
        varchar('kind', 16),
        { name: 'body', type: type('text') },
        varchar('state', 16),
        nullable({ name: 'outcome', type: type('text') }),
        { name: 'created_at', type: 'bigint' },
      ],
      indices: [{ name: 'ix_device_request_state', columnNames: ['state', 'created_at'] }],
    },
  ];
}
