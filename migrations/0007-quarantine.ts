import { Table, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';

/**
 * Quarantines of machines, ports, switches and BMCs, with how often and why; and the time that an operation has left, so that
 * a restart needs no wall clock to know it.
 */
export class Quarantine implements MigrationInterface {
  readonly name = 'Quarantine1764201600000';

  async up(runner: QueryRunner): Promise<void> {
    const int = runner.dataSource.driver.normalizeType({ type: 'int' });
    const text = ['mariadb', 'mysql'].includes(runner.dataSource.options.type) ? 'mediumtext' : 'text';
    await runner.createTable(
      new Table({
        name: 'quarantine',
        columns: [
          key(varchar('kind', 16)),
          key(varchar('name', 160)),
          key(varchar('code', 64)),
          { name: 'reason', type: text },
          nullable({ name: 'since', type: 'bigint' }),
          varchar('put_by', 128),
          { name: 'times', type: int },
          { name: 'last_at', type: 'bigint' },
          nullable({ name: 'lifted_at', type: 'bigint' }),
          nullable(varchar('lifted_by', 128)),
          nullable({ name: 'lifted_because', type: text }),
        ],
        indices: [{ name: 'ix_quarantine_since', columnNames: ['since'] }],
      }),
      true,
    );
    await carryOver(runner);
    // Said in SQL, which both dialects understand: TypeORM would write the whole table anew on SQLite.
    if (!(await runner.hasColumn('operation', timeLeft)))
      await runner.query(`ALTER TABLE \`operation\` ADD COLUMN \`${timeLeft}\` bigint NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('operation', timeLeft))
      await runner.query(`ALTER TABLE \`operation\` DROP COLUMN \`${timeLeft}\``);
    await runner.dropTable('quarantine', true);
  }
}

const timeLeft = 'time_left';

/** Machines that are withheld already. Done from the start where an earlier attempt was cut. */
async function carryOver(runner: QueryRunner): Promise<void> {
  const withheld = (await runner.query(
    'SELECT id, quarantine FROM machine WHERE quarantine IS NOT NULL',
  )) as readonly { readonly id: string; readonly quarantine: string }[];
  await runner.query("DELETE FROM quarantine WHERE kind = 'machine'");
  for (const { id, quarantine } of withheld) {
    const { code, reason, since } = JSON.parse(quarantine) as Readonly<Record<string, unknown>>;
    await runner.query(
      'INSERT INTO quarantine (kind, name, code, reason, since, put_by, times, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      ['machine', id, code, reason, since, 'csbm', 1, since],
    );
  }
}

const varchar = (name: string, length: number): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
});
const key = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isPrimary: true });
const nullable = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
