import { TableColumn, type MigrationInterface, type QueryRunner } from 'typeorm';

/** A claim knows its CloudStack instance by UUID too: names come again in a CloudStack that was set up anew. */
export class InstanceUuid implements MigrationInterface {
  readonly name = 'InstanceUuid1763856000000';

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('claim', column)) return;
    const options = { name: column, type: 'varchar', length: '36', isNullable: true };
    await runner.addColumn('claim', new TableColumn(options));
  }

  async down(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('claim', column)) await runner.dropColumn('claim', column);
  }
}

const column = 'instance_uuid';
