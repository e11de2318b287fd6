import type { Pool } from '../../core/machine/pool.ts';
import type { PoolStore } from '../../core/storage/storage.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';
import { nextNumber } from './next-number.ts';

export class SqlPoolStore implements PoolStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  find(name: string): Promise<Pool | null> {
    return this.#tables.pool.find(this.#session, { name });
  }

  findById(id: number): Promise<Pool | null> {
    return this.#tables.pool.find(this.#session, { id });
  }

  list(): Promise<readonly Pool[]> {
    return this.#tables.pool.select(this.#session, {}, { order: { id: 'ASC' } });
  }

  async insert(wanted: Omit<Pool, 'id' | 'version'>): Promise<Pool> {
    const id = await nextNumber(this.#tables, this.#session, 'pool');
    const pool: Pool = { ...wanted, id, version: 1 };
    await this.#tables.pool.insert(this.#session, [pool]);
    return pool;
  }

  /** By number: the name may change too. */
  async update(pool: Pool): Promise<Pool> {
    const { id, version } = pool;
    const stored = { ...pool, version: version + 1 };
    expectOne(await this.#tables.pool.update(this.#session, stored, { id, version }), `pool ${pool.name}`);
    return stored;
  }

  async delete(name: string): Promise<void> {
    await this.#tables.pool.delete(this.#session, { name });
  }
}
