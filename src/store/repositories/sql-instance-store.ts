import type { InstanceRecord, InstanceState, LivingInstance } from '../../core/storage/instance-records.ts';
import type { InstanceStore } from '../../core/storage/storage.ts';
import type { InstanceRow } from '../schema/instance.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';

const living: readonly InstanceState[] = ['alive', 'draining'];

export class SqlInstanceStore implements InstanceStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async find(id: string): Promise<InstanceRecord | null> {
    const row = await this.#tables.instance.find(this.#session, { id });
    return row && toRecord(row);
  }

  async list(): Promise<readonly InstanceRecord[]> {
    const order = { startedAt: 'ASC', id: 'ASC' } as const;
    return (await this.#tables.instance.select(this.#session, {}, { order })).map(toRecord);
  }

  async living(): Promise<readonly LivingInstance[]> {
    const order = { id: 'ASC' } as const;
    const rows = await this.#tables.instance.select(this.#session, { state: living }, { order });
    const beats = await this.#tables.instanceBeat.select(this.#session, {});
    const beatOf = new Map(beats.map(({ instanceId, beat }) => [instanceId, beat]));
    return rows.map((row) => ({ ...toRecord(row), beat: beatOf.get(row.id) ?? 0 }));
  }

  async insert(instance: InstanceRecord): Promise<void> {
    await this.#tables.instance.insert(this.#session, [instance]);
    await this.#tables.instanceBeat.insert(this.#session, [{ instanceId: instance.id, beat: 0 }]);
  }

  async announce(id: string, adminUrl: string): Promise<void> {
    await this.#tables.instance.update(this.#session, { adminUrl }, { id });
  }

  async beat(id: string): Promise<boolean> {
    return (await this.#tables.instanceBeat.increment(this.#session, 'beat', { instanceId: id })) === 1;
  }

  async drain(id: string): Promise<boolean> {
    const where = { id, state: 'alive' };
    return (await this.#tables.instance.update(this.#session, { state: 'draining' }, where)) === 1;
  }

  async end(id: string, beat: number | null, endedAt: number, reason: string): Promise<boolean> {
    const gone = { state: 'gone', endedAt, reason };
    const changed = await this.#tables.instance.update(this.#session, gone, { id, state: living });
    if (changed !== 1) return false;
    // Deleted with the beat that was seen: an instance that has just beaten is not silent.
    const silent = beat === null ? {} : { beat };
    return (
      (await this.#tables.instanceBeat.delete(this.#session, { instanceId: id, ...silent })) === 1 ||
      beat === null
    );
  }

  async forget(before: number): Promise<number> {
    return this.#tables.instance.deleteBelow(this.#session, 'endedAt', before);
  }
}

function toRecord(row: InstanceRow): InstanceRecord {
  return { ...row, state: row.state as InstanceState };
}
