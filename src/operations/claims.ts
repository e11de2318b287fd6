import type { Asker, Requester } from '../core/access/principal.ts';
import type { Claim } from '../core/claim/claim.ts';
import type { Machine, MachineId } from '../core/machine/machine.ts';
import { withoutClaim } from '../core/machine/profile.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { recordEvent } from './timeline/record-event.ts';

/** Whether the role acts on machines by holding them, and only so. */
export function actsByHolding(by: Pick<Asker, 'role'>): boolean {
  return by.role === 'user';
}

/** Whether it is the asker who holds the machine. */
export function holds(by: Pick<Asker, 'principal'>, claim: Claim | null): boolean {
  return claim?.holder === 'user' && claim.owner === by.principal;
}

/**
 * A user acts on machines that it holds; one that CloudStack hands out is not there for it at all.
 * @throws ServiceError `machine.unknown`, `claim.not-held`
 */
export function refuseStranger(by: Asker, machine: Machine, claim: Claim | null): void {
  if (!actsByHolding(by) || holds(by, claim)) return;
  refuseHidden(by, machine, claim);
  throw new ServiceError({
    code: 'claim.not-held',
    what: `${by.principal} does not hold the machine`,
    where: machine.hostname,
  });
}

/** @throws ServiceError `machine.unknown` for a user and a machine that CloudStack hands out */
export function refuseHidden(by: Asker, machine: Machine, claim: Claim | null): void {
  const elsewhere = machine.cloudPlace !== null || (claim !== null && claim.holder !== 'user');
  if (actsByHolding(by) && elsewhere)
    throw new ServiceError({ code: 'machine.unknown', what: `there is no machine ${machine.id}` });
}

/** Holds a machine. @throws `store.conflict` when it is claimed, or the external id holds another one. */
export async function beginClaim(
  tx: Tx,
  claim: Omit<Claim, 'version'>,
  { operationId, who }: { readonly operationId?: string; readonly who?: Requester } = {},
): Promise<void> {
  await tx.claims.insert({ ...claim, version: 1 });
  const { machineId, externalId, owner, since } = claim;
  const text = `claimed by ${externalId}${owner === '' ? '' : ` of ${owner}`}`;
  const after = externalId;
  await recordEvent(tx, {
    at: since,
    machineId,
    operationId,
    kind: 'claim',
    text,
    before: 'free',
    after,
    who,
  });
}

/**
 * Drops a claim, with what was said about the machine under it. One that is gone, or is another's, is left alone.
 * @param at epoch milliseconds
 * @param who asked for it, where no operation does it
 */
export async function endClaim(
  tx: Tx,
  machineId: MachineId,
  externalId: string,
  at: number,
  who: Requester | null = null,
): Promise<void> {
  const claim = await tx.claims.find(machineId);
  if (claim?.externalId !== externalId) return;
  await tx.claims.delete(machineId, externalId);
  const text = `the claim of ${externalId} ends`;
  await recordEvent(tx, { at, machineId, kind: 'claim', text, before: externalId, after: 'free', who });
  if (claim.holder !== 'user') return;
  const profile = await tx.profiles.find(machineId);
  if (profile) await tx.profiles.save(withoutClaim(profile));
}
