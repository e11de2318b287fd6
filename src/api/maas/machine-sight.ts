import type { Claim } from '../../core/claim/claim.ts';
import type { ShownDeployment } from '../../core/claim/deployment.ts';
import type { MachineId, ShownMachine } from '../../core/machine/machine.ts';
import { emptyProfile, type MachineProfile } from '../../core/machine/profile.ts';
import { inventoriedInterfaces, type Interface } from '../../core/network/interface.ts';
import type { Withholding } from '../../core/quarantine/quarantine.ts';
import type { OperationRecord } from '../../core/storage/journal-records.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { withholdings } from '../../operations/quarantine/withhold.ts';
import type { BootPlace, NetworkLookup } from './network-lookup.ts';

/** A machine with what is said about it and what goes on there. */
export interface MachineSight {
  readonly machine: ShownMachine;
  readonly profile: MachineProfile;
  readonly claim: Claim | null;
  readonly deployment: ShownDeployment | null;
  readonly active: OperationRecord | null;
  /** The operation that left it failed, for who holds it. */
  readonly failure: Pick<OperationRecord, 'kind' | 'error'> | null;
  /** Why it gets no new claim, if it does not. */
  readonly withheld: Withholding | null;
  readonly boot: BootPlace;
}

/** What goes on at each of the machines: eight queries at most whatever their number, and one for each switch not met before. */
export async function seeMachines(
  tx: Tx,
  machines: readonly ShownMachine[],
  network: NetworkLookup,
): Promise<readonly MachineSight[]> {
  if (machines.length === 0) return [];
  const ids = machines.map(({ id }) => id);
  const profiles = byMachine(await tx.profiles.ofMachines(ids));
  const claims = byMachine(await tx.claims.ofMachines(ids));
  const deployments = byMachine(await tx.deployments.currentOfMachines(ids));
  const active = byMachine(await tx.journal.activeOfMachines(ids));
  const failed = machines.filter(({ id, state }) => state === 'failed' && claims.has(id) && !active.has(id));
  const failures = await lastFailures(tx, failed);
  const withheld = await withholdings(tx, machines);
  const boots = await network.bootPlaces(tx, machines);
  return machines.map((machine) => ({
    machine,
    profile: profiles.get(machine.id) ?? emptyProfile(machine.id),
    claim: claims.get(machine.id) ?? null,
    deployment: deployments.get(machine.id) ?? null,
    active: active.get(machine.id) ?? null,
    failure: failures.get(machine.id) ?? null,
    withheld: withheld.get(machine.id) ?? null,
    boot: boots.get(machine.id)!,
  }));
}

async function lastFailures(
  tx: Tx,
  machines: readonly Pick<ShownMachine, 'id'>[],
): Promise<ReadonlyMap<MachineId, OperationRecord>> {
  if (machines.length === 0) return new Map();
  const machineIds = machines.map(({ id }) => id);
  // The newest first: a machine whose failure is not among them has failed long before the others.
  const found = await tx.journal.list({ machineIds, states: ['failed'], limit: machineIds.length * 4 });
  return byMachine(found.toReversed());
}

/** The interfaces of a machine as they are to be: as clients changed them, else as inventoried. */
export function interfacesOf({ machine, profile, boot }: MachineSight): readonly Interface[] {
  return profile.interfaces ?? inventoriedInterfaces(machine, boot.vlan, boot.subnet);
}

function byMachine<T extends { readonly machineId: MachineId }>(records: readonly T[]): Map<MachineId, T> {
  return new Map(records.map((record) => [record.machineId, record]));
}
