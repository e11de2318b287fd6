import type { Asker } from '../core/access/principal.ts';
import { authoriseOn } from '../core/access/rights.ts';
import type { Machine, MachineId, ShownMachine } from '../core/machine/machine.ts';
import { afterChange, emptyProfile, type MachineProfile } from '../core/machine/profile.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import { refuseStranger } from './claims.ts';
import { requireMachine } from './machine-state.ts';

/** What people and clients say about machines. */
export class Profiles {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** As it is stored, or the empty one. */
  of(tx: Tx, machine: Pick<ShownMachine | Machine, 'id'>): Promise<MachineProfile> {
    return profileOf(tx, machine.id);
  }

  /**
   * Changes what is said about a machine; `change` gets what is stored, and may throw. Once a user's claim
   * ends, interfaces that were changed under it are what they were before.
   * @throws ServiceError `claim.not-held` for a user who does not hold the machine; `access.scope`, `request.forbidden`,
   *   `machine.unknown`, and `store.conflict` when somebody else was faster
   */
  change(
    id: MachineId,
    by: Asker,
    change: (profile: MachineProfile) => MachineProfile,
  ): Promise<MachineProfile> {
    return this.#storage.run(async (tx) => {
      authoriseOn(by, 'machine.describe', await tx.machines.find(id), id);
      const machine = await requireMachine(tx, id);
      const claim = await tx.claims.find(id);
      refuseStranger(by, machine, claim);
      const before = await profileOf(tx, id);
      const after = change(before);
      return tx.profiles.save({
        ...after,
        machineId: id,
        version: before.version,
        ...afterChange(before, after, claim?.holder === 'user'),
      });
    });
  }
}

export async function profileOf(tx: Tx, id: MachineId): Promise<MachineProfile> {
  return (await tx.profiles.find(id)) ?? emptyProfile(id);
}
