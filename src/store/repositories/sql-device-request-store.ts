import type { JsonObject } from '../../../plugin-api/index.ts';
import type { DeviceRequest } from '../../core/storage/instance-records.ts';
import type { DeviceRequestStore } from '../../core/storage/storage.ts';
import type { DeviceRequestRow } from '../schema/instance.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { inSteps } from './in-steps.ts';

export class SqlDeviceRequestStore implements DeviceRequestStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async waiting(): Promise<readonly DeviceRequest[]> {
    const where = { state: 'waiting' };
    const order = { createdAt: 'ASC', id: 'ASC' } as const;
    return (await this.#tables.deviceRequest.select(this.#session, where, { order })).map(toRequest);
  }

  async over(ids: readonly string[]): Promise<readonly DeviceRequest[]> {
    if (ids.length === 0) return [];
    const where = { id: inSteps(ids), state: 'over' };
    return (await this.#tables.deviceRequest.select(this.#session, where)).map(toRequest);
  }

  async insert(request: DeviceRequest): Promise<void> {
    await this.#tables.deviceRequest.insert(this.#session, [request]);
  }

  async end(id: string, outcome: JsonObject): Promise<void> {
    await this.#tables.deviceRequest.update(
      this.#session,
      { state: 'over', outcome },
      { id, state: 'waiting' },
    );
  }

  async delete(id: string): Promise<void> {
    await this.#tables.deviceRequest.delete(this.#session, { id });
  }

  async deleteOf(instanceId: string): Promise<void> {
    await this.#tables.deviceRequest.delete(this.#session, { instanceId });
  }
}

function toRequest(row: DeviceRequestRow): DeviceRequest {
  return {
    ...row,
    kind: row.kind as DeviceRequest['kind'],
    state: row.state as DeviceRequest['state'],
  };
}
