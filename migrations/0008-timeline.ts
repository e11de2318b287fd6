import {
  Table,
  TableIndex,
  type MigrationInterface,
  type QueryRunner,
  type TableColumnOptions,
  type TableOptions,
} from 'typeorm';

/** What happened to each machine, and an index by which its alarms are found. */
export class Timeline implements MigrationInterface {
  readonly name = 'Timeline1764288000000';

  async up(runner: QueryRunner): Promise<void> {
    // MySQL commits each statement by itself: an attempt that was cut off goes on where it stopped.
    await runner.createTable(new Table(timeline(runner)), true);
    const alarms = await runner.getTable('alarm');
    if (!alarms?.indices.some(({ name }) => name === alarmIndex.name))
      await runner.createIndex('alarm', new TableIndex(alarmIndex));
  }

  async down(runner: QueryRunner): Promise<void> {
    const alarms = await runner.getTable('alarm');
    if (alarms?.indices.some(({ name }) => name === alarmIndex.name))
      await runner.dropIndex('alarm', alarmIndex.name);
    await runner.dropTable('timeline', true);
  }
}

const alarmIndex = { name: 'ix_alarm_machine', columnNames: ['machine_id', 'at', 'id'] };

function timeline(runner: QueryRunner): TableOptions {
  const { driver } = runner.dataSource;
  const mysql = ['mariadb', 'mysql'].includes(runner.dataSource.options.type);
  const varchar = (name: string, length: number): TableColumnOptions => ({
    name,
    type: 'varchar',
    length: String(length),
  });
  // As every text: MariaDB's and MySQL's own TEXT ends at 64 KiB.
  const text = (name: string): TableColumnOptions => ({ name, type: mysql ? 'mediumtext' : 'text' });
  const nullable = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
  return {
    name: 'timeline',
    columns: [
      { ...varchar('id', 64), isPrimary: true },
      { name: 'at', type: 'bigint' },
      varchar('machine_id', 36),
      nullable(varchar('operation_id', 64)),
      varchar('kind', 16),
      text('text'),
      nullable(text('state_before')),
      nullable(text('state_after')),
      // SQLite reads an int back as integer; written as int it would show as drift for ever.
      nullable({ name: 'took', type: driver.normalizeType({ type: 'int' }) }),
      nullable(text('who')),
    ],
    indices: [{ name: 'ix_timeline_machine', columnNames: ['machine_id', 'id'] }],
  };
}
