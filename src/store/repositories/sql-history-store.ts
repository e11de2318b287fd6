import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../../plugin-api/index.ts';
import type {
  Difference,
  History,
  HistoryStore,
  MachineHistory,
  Restored,
} from '../../core/storage/history-records.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';

/** There is one row. */
const id = 'current';

export class SqlHistoryStore implements HistoryStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async read(): Promise<History> {
    const { history } = this.#tables;
    let row = await history.find(this.#session, { id });
    if (!row) {
      const first = { id, databaseId: randomUUID(), generation: 1, starts: 0, restored: null, version: 1 };
      await history.insertMissing(this.#session, first);
      row = (await history.find(this.#session, { id }))!;
    }
    const { databaseId, generation, starts, restored, version } = row;
    return { databaseId, generation, starts, restored: restored as Restored | null, version };
  }

  async update(history: History): Promise<History> {
    const stored = { ...history, version: history.version + 1 };
    const row = { ...stored, restored: stored.restored as JsonObject | null };
    const where = { id, version: history.version };
    expectOne(await this.#tables.history.update(this.#session, row, where), 'history');
    return stored;
  }

  async machines(): Promise<readonly MachineHistory[]> {
    const rows = await this.#tables.machineHistory.select(this.#session, {});
    return rows.map(({ machineId, operations, compared }) => ({
      machineId: machineId as MachineId,
      operations,
      compared: (compared?.['differences'] as readonly Difference[] | undefined) ?? null,
    }));
  }

  async putMachine({ machineId, operations, compared }: MachineHistory): Promise<void> {
    const found = compared && ({ differences: compared } as unknown as JsonObject);
    await this.#tables.machineHistory.put(this.#session, { machineId, operations, compared: found });
  }

  async advance(machineId: MachineId): Promise<number> {
    const { machineHistory } = this.#tables;
    const counted = await machineHistory.increment(this.#session, 'operations', { machineId });
    if (counted === 0) {
      await machineHistory.insert(this.#session, [{ machineId, operations: 1, compared: null }]);
      return 1;
    }
    return (await machineHistory.find(this.#session, { machineId }))!.operations;
  }
}
