import type { MachineId } from '../../core/machine/machine.ts';
import type { TimelineEvent, TimelineFilter, TimelineStore } from '../../core/storage/timeline.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';

export class SqlTimelineStore implements TimelineStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async insert(
    events: readonly TimelineEvent[],
    { again = false }: { readonly again?: boolean } = {},
  ): Promise<void> {
    if (again) {
      for (const event of events) await this.#tables.timeline.insertMissing(this.#session, event);
      return;
    }
    // In few sizes, each of whose statements is composed and prepared once.
    for (let from = 0; from < events.length;) {
      const size = [64, 16, 4, 1].find((one) => one <= events.length - from)!;
      await this.#tables.timeline.insert(this.#session, events.slice(from, from + size));
      from += size;
    }
  }

  async list(filter: TimelineFilter): Promise<readonly TimelineEvent[]> {
    const { machineId, operationId, above, below, limit } = filter;
    const rows = await this.#tables.timeline.select(
      this.#session,
      { machineId, ...(operationId !== undefined && { operationId }) },
      {
        order: { id: 'DESC' },
        limit,
        ...(above !== undefined && { after: { id: above } }),
        ...(below !== undefined && { below: { id: below } }),
      },
    );
    return rows.map((row) => ({ ...row, machineId: row.machineId as MachineId }));
  }
}
