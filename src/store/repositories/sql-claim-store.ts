import type { Claim, GoneClaim } from '../../core/claim/claim.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { ClaimStore } from '../../core/storage/storage.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { ClaimRow } from '../schema/claim.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { inSteps } from './in-steps.ts';

export class SqlClaimStore implements ClaimStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  async find(machineId: MachineId): Promise<Claim | null> {
    const row = await this.#tables.claim.find(this.#session, { machineId });
    return row && toClaim(row);
  }

  async findByExternalId(externalId: string): Promise<Claim | null> {
    const row = await this.#tables.claim.find(this.#session, { externalId });
    return row && toClaim(row);
  }

  async list(): Promise<readonly Claim[]> {
    const rows = await this.#tables.claim.select(this.#session, {}, { order: { machineId: 'ASC' } });
    return rows.map(toClaim);
  }

  async ofMachines(machineIds: readonly MachineId[]): Promise<readonly Claim[]> {
    const rows = await this.#tables.claim.select(this.#session, { machineId: inSteps(machineIds) });
    return rows.map(toClaim);
  }

  async ofHolders(holders: readonly Claim['holder'][]): Promise<readonly Claim[]> {
    const rows = await this.#tables.claim.select(this.#session, { holder: inSteps(holders) });
    return rows.map(toClaim);
  }

  async insert(claim: Claim): Promise<void> {
    const { machineId, holder, externalId, owner, instanceUuid, since, version } = claim;
    await this.#tables.claim.insert(this.#session, [
      { machineId, holder, externalId, owner, instanceUuid, since, version },
    ]);
  }

  async learnInstanceUuid(machineId: MachineId, externalId: string, instanceUuid: string): Promise<void> {
    await this.#tables.claim.update(
      this.#session,
      { instanceUuid },
      { machineId, externalId, instanceUuid: null },
    );
  }

  /** Nothing to delete is no failure: a repeated step drops the claim once. */
  async delete(machineId: MachineId, externalId: string): Promise<void> {
    if ((await this.#tables.claim.delete(this.#session, { machineId, externalId })) === 1) return;
    const other = await this.#tables.claim.find(this.#session, { machineId });
    if (other) {
      throw new ServiceError({
        code: 'store.conflict',
        what: `${other.externalId} holds the machine, not ${externalId}`,
        where: machineId,
      });
    }
  }

  async gone(): Promise<readonly GoneClaim[]> {
    const rows = await this.#tables.goneClaim.select(this.#session, {});
    return rows.map((row) => ({ ...row, machineId: row.machineId as MachineId }));
  }

  async putGone(record: GoneClaim): Promise<void> {
    await this.#tables.goneClaim.put(this.#session, record);
  }

  async forgetGone(machineIds: readonly MachineId[]): Promise<void> {
    if (machineIds.length > 0)
      await this.#tables.goneClaim.delete(this.#session, { machineId: inSteps(machineIds) });
  }
}

function toClaim(row: ClaimRow): Claim {
  return { ...row, machineId: row.machineId as MachineId };
}
