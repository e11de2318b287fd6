import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { migrations } from '../../migrations/index.ts';
import { schemas } from '../../src/store/schema/index.ts';
import { openSqliteHandle } from '../../src/store/sqlite-handle.ts';

describe('migrations', () => {
  let directory: string;
  let source: DataSource;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'csbm-migrate-'));
    source = new DataSource({
      type: 'better-sqlite3',
      database: join(directory, 'test.db'),
      driver: function Handle(file: string) {
        return openSqliteHandle(file);
      },
      entities: [...schemas],
      migrations: [...migrations],
      migrationsTableName: 'migration',
    });
    await source.initialize();
  });

  after(async () => {
    await source.destroy();
    rmSync(directory, { recursive: true });
  });

  const drift = async (): Promise<string[]> =>
    (await source.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);
  const tables = async (): Promise<string[]> =>
    (
      await source.query<{ name: string }[]>(
        `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
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
  });

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

  it('have a name, a time in it, and are in order', () => {
    const times = migrations.map((Migration) => Number(/\d{13}$/.exec(new Migration().name)?.[0]));
    assert.ok(times.every((time) => time > 0));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });
});
