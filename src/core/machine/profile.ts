import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../../../plugin-api/index.ts';
import type { Interface } from '../network/interface.ts';
import type { MachineId } from './machine.ts';

/** What people and clients say about a machine beside what it is: nothing here decides what may be done with it. */
export interface MachineProfile {
  readonly machineId: MachineId;
  readonly description: string;
  /** Name of the (MAAS) zone. */
  readonly zone: string;
  /** Name of the DNS domain. */
  readonly domain: string;
  readonly tags: readonly string[];
  /** Of the user who holds the machine; gone with the claim. */
  readonly ownerData: Readonly<Record<string, string>>;
  /** Of the user who holds the machine; gone with the claim. */
  readonly agentName: string;
  /** Against a release or deletion by mistake. */
  readonly locked: boolean;
  /** Its network as clients changed it; null = as inventoried (`inventoriedInterfaces`). */
  readonly interfaces: readonly Interface[] | null;
  /** True = the network was changed under the present claim, and is what it was before once that ends. */
  readonly interfacesOfClaim?: boolean;
  /** The network before the present claim changed it; null or absent = as inventoried. */
  readonly networkBefore?: NetworkBefore | null;
  /** What is only kept and shown: `hwe_kernel`, `swap_size`, ... by MAAS's names. */
  readonly kept: JsonObject;
  readonly version: number;
}

export interface NetworkBefore {
  readonly interfaces: readonly Interface[] | null;
  /** Numbers of the links with the default routes, by {@link gatewayKey}. */
  readonly gateways: JsonObject;
}

/** Where `kept` says which link of the interfaces has the default route of a family. */
export const gatewayKey = { 4: 'gateway_link_ipv4', 6: 'gateway_link_ipv6' } as const;

/** The profile of a machine about which nobody said anything; version 0 = it is not stored. */
export function emptyProfile(machineId: MachineId): MachineProfile {
  return {
    machineId,
    description: '',
    zone: 'default',
    domain: 'maas',
    tags: [],
    ownerData: {},
    agentName: '',
    locked: false,
    interfaces: null,
    kept: {},
    version: 0,
  };
}

/** What was said about a machine, once the claim ends under which it was said: its network is what it was before. */
export function withoutClaim(profile: MachineProfile): MachineProfile {
  const { interfacesOfClaim, networkBefore, ...rest } = profile;
  const free = { ...rest, ownerData: {}, agentName: '', locked: false };
  if (!interfacesOfClaim) return free;
  const { interfaces = null, gateways = {} } = networkBefore ?? {};
  return { ...free, interfaces, kept: { ...profile.kept, ...noGateways, ...gateways } };
}

/** A profile that was changed under a user's claim, or without one: what the network was before a claim changed it is kept. */
export function afterChange(
  before: MachineProfile,
  after: MachineProfile,
  isClaimed: boolean,
): Pick<MachineProfile, 'interfacesOfClaim' | 'networkBefore'> {
  const { interfacesOfClaim = false, networkBefore = null } = before;
  const now = networkOf(after);
  if (isDeepStrictEqual(networkOf(before), now)) return { interfacesOfClaim, networkBefore };
  if (!isClaimed) return { interfacesOfClaim: false, networkBefore: null };
  return { interfacesOfClaim: true, networkBefore: interfacesOfClaim ? networkBefore : networkOf(before) };
}

const noGateways: JsonObject = { [gatewayKey[4]]: null, [gatewayKey[6]]: null };

function networkOf({ interfaces, kept }: MachineProfile): NetworkBefore {
  const gateways = Object.fromEntries(Object.values(gatewayKey).map((key) => [key, kept[key] ?? null]));
  return { interfaces, gateways };
}
