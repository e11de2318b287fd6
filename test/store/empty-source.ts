import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, type EntitySchema } from 'typeorm';
import { migrations } from '../../migrations/index.ts';
import { mariadbSchema } from '../../src/store/dialects/mariadb-schema.ts';
import { schemas } from '../../src/store/schema/index.ts';
import { openSqliteHandle } from '../../src/store/sqlite-handle.ts';
import { askMariadb } from '../support/mariadb-server.ts';
import { testStore } from '../support/temp-database.ts';

/** TypeORM's view of an empty database, without any of the store's own opening. */
export async function emptySource(): Promise<{ source: DataSource; remove: () => Promise<void> }> {
  const more = { migrations: [...migrations], migrationsTableName: 'migration' };
  if (testStore === 'mariadb') {
    const socketPath = process.env['CSBM_TEST_MARIADB_SOCKET']!;
    const database = `empty_${process.pid}`;
    await askMariadb(
      socketPath,
      `CREATE DATABASE ${database} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin`,
    );
    return {
      source: new DataSource({
        ...more,
        type: 'mariadb',
        socketPath,
        username: 'root',
        database,
        entities: schemas.map((schema) => mariadbSchema(schema as EntitySchema<object>)),
      }),
      remove: async () => {
        await askMariadb(socketPath, `DROP DATABASE ${database}`);
      },
    };
  }
  const directory = mkdtempSync(join(tmpdir(), 'csbm-migrate-'));
  return {
    source: new DataSource({
      ...more,
      type: 'better-sqlite3',
      database: join(directory, 'test.db'),
      driver: function Handle(file: string) {
        return openSqliteHandle(file);
      },
      entities: [...schemas],
    }),
    remove: () => {
      rmSync(directory, { recursive: true });
      return Promise.resolve();
    },
  };
}
