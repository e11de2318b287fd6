import type { MachineId } from '../../core/machine/machine.ts';
import type { Alarm, AlarmStore } from '../../core/storage/storage.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { inSteps } from './in-steps.ts';

export class SqlAlarmStore implements AlarmStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async list(limit: number, machineIds?: readonly MachineId[], before?: number): Promise<readonly Alarm[]> {
    const rows = await this.#tables.alarm.select(
      this.#session,
      machineIds ? { machineId: inSteps(machineIds) } : {},
      { order: { at: 'DESC', id: 'DESC' }, limit, ...(before !== undefined && { below: { at: before } }) },
    );
    return rows.map((row) => ({ ...row, machineId: row.machineId as MachineId | null }));
  }

  async insert(alarm: Alarm): Promise<void> {
    await this.#tables.alarm.insert(this.#session, [alarm]);
  }
}
