import type { RecordStore } from '../../core/storage/storage.ts';
import type { RecordKind, StoredRecord } from '../../core/storage/stored-record.ts';
import type { RecordRow } from '../schema/record.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';
import { inSteps } from './in-steps.ts';
import { nextNumber } from './next-number.ts';

export class SqlRecordStore implements RecordStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async find(kind: RecordKind, id: number): Promise<StoredRecord | null> {
    const row = await this.#tables.record.find(this.#session, { kind, id });
    return row && toRecord(row);
  }

  async findByName(kind: RecordKind, name: string): Promise<StoredRecord | null> {
    const row = await this.#tables.record.find(this.#session, { kind, name });
    return row && toRecord(row);
  }

  async list(kind: RecordKind, owner?: string): Promise<readonly StoredRecord[]> {
    const where = { kind, ...(owner !== undefined && { owner }) };
    const rows = await this.#tables.record.select(this.#session, where, { order: { id: 'ASC' } });
    return rows.map(toRecord);
  }

  async ofKinds(kinds: readonly RecordKind[]): Promise<readonly StoredRecord[]> {
    const where = { kind: inSteps(kinds) };
    const rows = await this.#tables.record.select(this.#session, where, { order: { id: 'ASC' } });
    return rows.map(toRecord);
  }

  async insert(wanted: Pick<StoredRecord, 'kind' | 'name' | 'owner' | 'body'>): Promise<StoredRecord> {
    const { kind, name, owner, body } = wanted;
    const id = await nextNumber(this.#tables, this.#session, kind);
    const record: StoredRecord = { kind, id, name, owner, body, version: 1 };
    await this.#tables.record.insert(this.#session, [record]);
    return record;
  }

  async update(record: StoredRecord): Promise<StoredRecord> {
    const { kind, id, version } = record;
    const stored = { ...record, version: version + 1 };
    const affected = await this.#tables.record.update(this.#session, stored, { kind, id, version });
    expectOne(affected, `${kind} ${id}`);
    return stored;
  }

  async delete(kind: RecordKind, id: number): Promise<boolean> {
    return (await this.#tables.record.delete(this.#session, { kind, id })) === 1;
  }
}

function toRecord(row: RecordRow): StoredRecord {
  return { ...row, kind: row.kind as RecordKind };
}
