import { Table, type MigrationInterface, type QueryRunner, type TableOptions } from 'typeorm';

/** What is counted before something is done: failures of devices, and rounds in which CloudStack did not know an instance. */
export class Counts implements MigrationInterface {
  readonly name = 'Counts1764460800000';

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
      name: 'trouble',
      columns: [
        { ...varchar('kind', 16), isPrimary: true },
        { ...varchar('name', 160), isPrimary: true },
        { name: 'failures', type: int },
        { name: 'ages', type: wide },
        varchar('begun', 32),
        { name: 'revision', type: int },
      ],
    },
    {
      name: 'gone_claim',
      columns: [
        { ...varchar('machine_id', 36), isPrimary: true },
        varchar('external_id', 255),
        { name: 'claimed_at', type: 'bigint' },
        { name: 'rounds', type: int },
        { name: 'since', type: 'bigint' },
        { name: 'told', type: int },
      ],
    },
  ];
}
