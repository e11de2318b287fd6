import type { Claim } from '../../../src/core/claim/claim.ts';
import type { Deployment } from '../../../src/core/claim/deployment.ts';
import { userClaimId } from '../../../src/core/claim/claim.ts';
import type { Machine } from '../../../src/core/machine/machine.ts';
import type { Tx } from '../../../src/core/storage/storage.ts';
import { claim, deployment, machine, machineId } from '../../store/samples.ts';

/** A machine that a MAAS user can have: in no CloudStack, on nobody's switches, with a BMC that answers nothing. */
export function freeMachine(n: number, more: Partial<Machine> = {}): Machine {
  const base = machine(n);
  return {
    ...base,
    bmc: { ...base.bmc!, host: '127.0.0.1', port: 40_000 + n },
    wiring: 'none',
    firmware: 'legacy',
    cpus: n,
    memoryBytes: n * 2 ** 30,
    cloudPlace: null,
    quarantine: null,
    ...more,
  };
}

export function userClaim(n: number, user: string): Claim {
  const id = machineId(n);
  return { ...claim(n), holder: 'user', externalId: userClaimId(user, id), owner: user };
}

export function userDeployment(n: number, user: string, more: Partial<Deployment> = {}): Deployment {
  return deployment(n, { externalId: userClaimId(user, machineId(n)), state: 'installed', ...more });
}

/** Takes whoever held the machine away from it, and puts it back to the state. */
export async function reset(tx: Tx, n: number, more: Partial<Machine> = {}): Promise<void> {
  const id = machineId(n);
  const held = await tx.claims.find(id);
  if (held) await tx.claims.delete(id, held.externalId);
  const was = await tx.machines.find(id);
  if (was) await tx.machines.update({ ...freeMachine(n, more), version: was.version });
  else await tx.machines.insert(freeMachine(n, more));
}
