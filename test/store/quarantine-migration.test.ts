import assert from 'node:assert/strict';
import type { DataSource } from 'typeorm';
import { emptySource } from './empty-source.ts';

/** Machines that were withheld before there was a table of quarantines are in it. */
it('a quarantine of before is carried over, once', async () => {
  const { source, remove } = await emptySource();
  await source.initialize();
  try {
    await source.runMigrations({ transaction: 'each' });
    while (await has(source, 'quarantine')) await source.undoLastMigration({ transaction: 'each' });
    const quarantine = { code: 'operation.fenced', reason: 'power unknown', fenced: true, since: 77 };
    const columns: Readonly<Record<string, string | number>> = {
      ...{ id: 'abc123', hostname: 'node-1', state: 'failed', site: 's', pool: 'p', engine: 'native' },
      ...{ wiring: 'managed', firmware: 'efi', architecture: 'x86_64', cpus: 1, memory_bytes: 1, serial: '' },
      ...{ product: '', created_at: 1, version: 1, quarantine: JSON.stringify(quarantine) },
    };
    await source.query("INSERT INTO site (name) VALUES ('s')");
    const names = Object.keys(columns);
    await source.query(
      `INSERT INTO machine (${names.join()}) VALUES (${names.map(() => '?').join()})`,
      Object.values(columns),
    );
    await source.runMigrations({ transaction: 'each' });
    const rows = await source.query<readonly Readonly<Record<string, unknown>>[]>('SELECT * FROM quarantine');
    assert.deepEqual(
      rows.map((row) => [
        row['kind'],
        row['name'],
        row['code'],
        row['reason'],
        Number(row['since']),
        row['times'],
      ]),
      [['machine', 'abc123', 'operation.fenced', 'power unknown', 77, 1]],
    );
  } finally {
    await source.destroy();
    await remove();
  }
}).timeout(60_000);

async function has(source: DataSource, table: string): Promise<boolean> {
  const runner = source.createQueryRunner();
  try {
    return await runner.hasTable(table);
  } finally {
    await runner.release();
  }
}
