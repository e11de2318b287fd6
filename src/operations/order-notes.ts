import type { JsonObject, OrderNotes } from '../../plugin-api/index.ts';
import type { Storage } from '../core/storage/storage.ts';

const kind = 'engine-order';

/** What deploy engines remember of their orders, in our storage: one order for each machine, its latest. */
export class StoredOrderNotes implements OrderNotes {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async get(orderId: string): Promise<JsonObject | null> {
    const record = await this.#storage.run((tx) => tx.records.findByName(kind, orderId));
    return record?.body ?? null;
  }

  async put(orderId: string, machineId: string, note: JsonObject): Promise<void> {
    await this.#storage.run(async (tx) => {
      const known = await tx.records.list(kind, machineId);
      const same = known.find(({ name }) => name === orderId);
      for (const record of known) if (record !== same) await tx.records.delete(kind, record.id);
      if (same) await tx.records.update({ ...same, body: note });
      else await tx.records.insert({ kind, name: orderId, owner: machineId, body: note });
    });
  }

  async remove(orderId: string): Promise<void> {
    await this.#storage.run(async (tx) => {
      const record = await tx.records.findByName(kind, orderId);
      if (record) await tx.records.delete(kind, record.id);
    });
  }
}
