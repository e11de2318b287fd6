import type { Tx } from '../../core/storage/storage.ts';
import type { Interface } from '../../core/network/interface.ts';
import { MaasRefusal } from './maas-refusal.ts';

/** Interfaces that clients made or changed, of all machines, that fit: also those that a machine gets back when its claim ends. */
async function interfacesThat(tx: Tx, fits: (one: Interface) => boolean): Promise<readonly string[]> {
  const found = (await tx.profiles.list()).flatMap(({ machineId, interfaces, networkBefore }) =>
    [...(interfaces ?? []), ...(networkBefore?.interfaces ?? [])]
      .filter(fits)
      .map(({ name }) => `${name} on ${machineId}`),
  );
  return [...new Set(found)];
}

/** Refuses what would take the VLAN from under a machine's interfaces: its ports would not follow. */
export async function refuseUsedVlans(tx: Tx, vlans: ReadonlySet<number>, refusal: string): Promise<void> {
  const used = await interfacesThat(tx, ({ vlan }) => vlan !== null && vlans.has(vlan));
  if (used.length > 0)
    throw new MaasRefusal(
      400,
      `${refusal}; the following interfaces are still connected: ${used.join(', ')}`,
    );
}

/** Refuses what would take the subnet from under a machine's links. */
export async function refuseUsedSubnet(tx: Tx, id: number, refusal: string): Promise<void> {
  const used = await interfacesThat(tx, ({ links }) => links.some(({ subnet }) => subnet === id));
  if (used.length > 0)
    throw new MaasRefusal(400, `${refusal}; the following interfaces are still linked: ${used.join(', ')}`);
}
