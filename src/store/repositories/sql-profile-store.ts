import type { MachineId } from '../../core/machine/machine.ts';
import type { MachineProfile } from '../../core/machine/profile.ts';
import type { ProfileStore } from '../../core/storage/storage.ts';
import type { ProfileRow } from '../schema/machine.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';
import { inSteps } from './in-steps.ts';

export class SqlProfileStore implements ProfileStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async find(machineId: MachineId): Promise<MachineProfile | null> {
    const row = await this.#tables.profile.find(this.#session, { machineId });
    return row && toProfile(row);
  }

  async ofMachines(machineIds: readonly MachineId[]): Promise<readonly MachineProfile[]> {
    const rows = await this.#tables.profile.select(this.#session, { machineId: inSteps(machineIds) });
    return rows.map(toProfile);
  }

  async list(): Promise<readonly MachineProfile[]> {
    const rows = await this.#tables.profile.select(this.#session, {}, { order: { machineId: 'ASC' } });
    return rows.map(toProfile);
  }

  async save(profile: MachineProfile): Promise<MachineProfile> {
    const { machineId, version, ...body } = profile;
    const stored = { ...profile, version: version + 1 };
    const row: ProfileRow = { machineId, body, version: stored.version };
    if (version === 0) await this.#tables.profile.insert(this.#session, [row]);
    else {
      const affected = await this.#tables.profile.update(this.#session, row, { machineId, version });
      expectOne(affected, `profile of machine ${machineId}`);
    }
    return stored;
  }
}

function toProfile({ machineId, body, version }: ProfileRow): MachineProfile {
  return { ...body, machineId: machineId as MachineId, version };
}
