import { Table, type MigrationInterface, type QueryRunner, type TableOptions } from 'typeorm';

/** By what a service knows that its database is older than it was: counters, and how it stands with a restored one. */
export class History implements MigrationInterface {
  readonly name = 'History1764374400000';

  async up(runner: QueryRunner): Promise<void> {
    for (const options of newTables(runner)) await runner.createTable(new Table(options), true);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const { name } of newTables(runner).reverse()) await runner.dropTable(name, true);
  }
}

function newTables(runner: QueryRunner): TableOptions[] {
  const wide = ['mariadb', 'mysql'].includes(runner.dataSource.options.type) ? 'mediumtext' : 'text';
  const int = runner.dataSource.driver.normalizeType({ type: 'int' });
  const varchar = (name: string, length: number) => ({ name, type: 'varchar', length: String(length) });
  return [
    {
      name: 'history',
      columns: [
        { ...varchar('id', 16), isPrimary: true },
        varchar('database_id', 64),
        { name: 'generation', type: int },
        { name: 'starts', type: 'bigint' },
        { name: 'restored', type: wide, isNullable: true },
        { name: 'version', type: int },
      ],
    },
    {
      name: 'machine_history',
      columns: [
        { ...varchar('machine_id', 36), isPrimary: true },
        { name: 'operations', type: 'bigint' },
        { name: 'compared', type: wide, isNullable: true },
      ],
    },
  ];
}
