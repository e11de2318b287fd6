import assert from 'node:assert/strict';
import type { DataSource } from 'typeorm';
import { migrations } from '../../migrations/index.ts';
import { emptySource } from './empty-source.ts';

describe('migrations', () => {
  let source: DataSource;
  let remove: () => Promise<void>;

  before(async () => {
    ({ source, remove } = await emptySource());
    await source.initialize();
  });

  after(async () => {
    await source.destroy();
    await remove();
  });

  const drift = async (): Promise<string[]> =>
    (await source.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);
  const tables = async (): Promise<string[]> =>
    (
      await source.query<{ name: string }[]>(
        source.options.type === 'mariadb'
          ? 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1'
          : `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
      )
    ).map(({ name }) => name);

  it('make exactly the schema that the stores use, and take it back, and make it again', async () => {
    assert.notDeepEqual(await drift(), [], 'an empty database must show drift, or this test proves nothing');

    await source.runMigrations({ transaction: 'each' });
    assert.deepEqual(await drift(), []);
    const made = await tables();

    const undo = migrations.map(() => () => source.undoLastMigration({ transaction: 'each' }));
    for (const one of undo) await one();
    assert.deepEqual(await tables(), ['migration']);

    await source.runMigrations({ transaction: 'each' });
    assert.deepEqual(await drift(), []);
    assert.deepEqual(await tables(), made);
    assert.deepEqual(await source.runMigrations({ transaction: 'each' }), []);
  }).timeout(60_000);

  it('hold a table for every word of the design', async () => {
    const words = [
      ...['site', 'cloud', 'zone', 'pod', 'cluster', 'fabric', 'record', 'pool'],
      ...['switch', 'wire', 'port_state', 'rack_config', 'machine', 'interface', 'disk', 'image'],
      ...['claim', 'deployment', 'operation', 'step', 'boot_conversation', 'principal', 'alarm'],
    ];
    const made = await tables();
    assert.deepEqual(
      words.filter((word) => !made.includes(word)),
      [],
    );
  });

  it('leave no text that ends at 64 KiB, and no key that compares by anything but its bytes', async function () {
    if (source.options.type !== 'mariadb') this.skip();
    const columns = await source.query<Record<string, string>[]>(
      `SELECT CONCAT(table_name, '.', column_name) AS name, data_type AS type, collation_name AS collation
         FROM information_schema.columns
        WHERE table_schema = DATABASE() AND collation_name IS NOT NULL AND table_name <> 'migration'`,
    );
    assert.ok(columns.length > 100);
    assert.deepEqual(
      columns.filter(({ type, collation }) => type === 'text' || collation !== 'utf8mb4_nopad_bin'),
      [],
    );
  });

  it('have a name, a time in it, and are in order', () => {
    const times = migrations.map((Migration) => Number(/\d{13}$/.exec(new Migration().name)?.[0]));
    assert.ok(times.every((time) => time > 0));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });
});
