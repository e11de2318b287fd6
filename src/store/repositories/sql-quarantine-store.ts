import type { QuarantineRecord, Subject, TroubleRecord } from '../../core/quarantine/quarantine.ts';
import type { QuarantineStore } from '../../core/storage/storage.ts';
import type { Session } from '../session.ts';
import { notNull } from '../table.ts';
import type { Tables } from '../tables.ts';

export class SqlQuarantineStore implements QuarantineStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  list(): Promise<readonly QuarantineRecord[]> {
    return this.#tables.quarantine.select(this.#session, {}, { order: { lastAt: 'DESC' } });
  }

  active(): Promise<readonly QuarantineRecord[]> {
    return this.#tables.quarantine.select(this.#session, { since: notNull }, { order: { since: 'ASC' } });
  }

  ofSubject({ kind, name }: Subject): Promise<readonly QuarantineRecord[]> {
    return this.#tables.quarantine.select(this.#session, { kind, name }, { order: { lastAt: 'DESC' } });
  }

  /** Those of one subject are read for changing. */
  forChange({ kind, name }: Subject): Promise<readonly QuarantineRecord[]> {
    return this.#tables.quarantine.select(this.#session, { kind, name }, { lock: true });
  }

  async put(record: QuarantineRecord): Promise<void> {
    await this.#tables.quarantine.put(this.#session, record);
  }

  async forget({ kind, name }: Subject): Promise<void> {
    await this.#tables.quarantine.delete(this.#session, { kind, name });
    await this.forgetTrouble({ kind, name });
  }

  troubles(): Promise<readonly TroubleRecord[]> {
    return this.#tables.trouble.select(this.#session, {});
  }

  troubleForChange({ kind, name }: Subject): Promise<TroubleRecord | null> {
    return this.#tables.trouble.find(this.#session, { kind, name }, { lock: true });
  }

  async putTrouble(record: TroubleRecord): Promise<void> {
    await this.#tables.trouble.put(this.#session, record);
  }

  async forgetTrouble({ kind, name }: Subject): Promise<void> {
    await this.#tables.trouble.delete(this.#session, { kind, name });
  }
}
