import { TableColumn, type MigrationInterface, type QueryRunner } from 'typeorm';

/** A token may end by itself, and shows when it was last used. */
export class TokenLife implements MigrationInterface {
  readonly name = 'TokenLife1763769600000';

  async up(runner: QueryRunner): Promise<void> {
    // MySQL commits each ALTER TABLE by itself: an attempt that was cut off goes on where it stopped.
    for (const name of columns)
      if (!(await runner.hasColumn('principal', name)))
        await runner.addColumn('principal', new TableColumn({ name, type: 'bigint', isNullable: true }));
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const name of columns.toReversed())
      if (await runner.hasColumn('principal', name)) await runner.dropColumn('principal', name);
  }
}

const columns = ['expires_at', 'last_used_at'];
