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
  /** Its network as clients changed it; null = as inventoried (`inventoriedInterfaces`). Gone with the claim it was made under. */
  readonly interfaces: readonly Interface[] | null;
  /** True = the interfaces were changed under the present claim, and go with it. */
  readonly interfacesOfClaim?: boolean;
  /** What is only kept and shown: `hwe_kernel`, `swap_size`, ... by MAAS's names. */
  readonly kept: JsonObject;
  readonly version: number;
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
