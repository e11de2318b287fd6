import type { LeaseKind, LeaseRecord } from '../../core/storage/instance-records.ts';
import type { LeaseStore } from '../../core/storage/storage.ts';
import type { LeaseRow } from '../schema/instance.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { inSteps } from './in-steps.ts';

export class SqlLeaseStore implements LeaseStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async find(name: string, options: { readonly lock?: boolean } = {}): Promise<LeaseRecord | null> {
    const row = await this.#tables.lease.find(this.#session, { name }, options);
    return row && toRecord(row);
  }

  async ofKind(kind: LeaseKind): Promise<readonly LeaseRecord[]> {
    return (await this.#tables.lease.select(this.#session, { kind })).map(toRecord);
  }

  async free(kind: LeaseKind): Promise<readonly LeaseRecord[]> {
    return (await this.#tables.lease.select(this.#session, { owner: null, kind })).map(toRecord);
  }

  async insert(leases: readonly LeaseRecord[]): Promise<void> {
    if (leases.length > 0) await this.#tables.lease.insert(this.#session, leases);
  }

  async take(names: readonly string[], owner: string): Promise<readonly LeaseRecord[]> {
    const name = inSteps(names);
    const free = await this.#tables.lease.select(this.#session, { name, owner: null }, { lock: true });
    if (free.length === 0) return [];
    const taken = inSteps(free.map((row) => row.name));
    await this.#tables.lease.update(this.#session, { owner, lost: false, notes: 0 }, { name: taken });
    return free.map(toRecord);
  }

  async release(names: readonly string[], owner: string): Promise<number> {
    const free = { owner: null, lost: false, notes: 0 };
    return this.#tables.lease.update(this.#session, free, { name: inSteps(names), owner });
  }

  async releaseAll(owner: string, lost: boolean): Promise<number> {
    return this.#tables.lease.update(this.#session, { owner: null, lost, notes: 0 }, { owner });
  }

  async note(name: string): Promise<void> {
    await this.#tables.lease.increment(this.#session, 'notes', { name });
  }

  async noted(owner: string): Promise<readonly LeaseRecord[]> {
    const after = { after: { notes: 0 } };
    return (await this.#tables.lease.select(this.#session, { owner, kind: 'machine' }, after)).map(toRecord);
  }

  async heard(lease: Pick<LeaseRecord, 'name' | 'notes'>): Promise<void> {
    await this.#tables.lease.update(this.#session, { notes: 0 }, { name: lease.name, notes: lease.notes });
  }

  async delete(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#tables.lease.delete(this.#session, { name: inSteps(names) });
  }
}

function toRecord(row: LeaseRow): LeaseRecord {
  return { ...row, kind: row.kind as LeaseKind };
}
