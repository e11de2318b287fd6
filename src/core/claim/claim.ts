import type { MachineId } from '../machine/machine.ts';

/** What a user's claim of a machine is called; the first part is the same for every machine of the user. */
export function userClaimId(user: string, machineId: MachineId): string {
  return `maas/${user}/${machineId}`;
}

/** What kinds of holders there are. */
export const holders = ['instance', 'user', 'operator'] as const;

/** Who holds a machine. At most one claim per machine, and one machine per external id (law 2). */
export interface Claim {
  readonly machineId: MachineId;
  readonly holder: (typeof holders)[number];
  /** Unique over all claims: `<cloud>/i-2-77-VM` for a CloudStack instance, `maas/<user>/<machine>` for a MAAS user. */
  readonly externalId: string;
  /** Who owns it over there: account, domain, project, for tags and records. */
  readonly owner: string;
  /** CloudStack's UUID of the instance, lower case; null where nobody told it yet, or there is none. */
  readonly instanceUuid: string | null;
  /** Epoch milliseconds. */
  readonly since: number;
  readonly version: number;
}

/** That a cloud does not know the instance of a claim any more, and how often in a row that was found. */
export interface GoneClaim extends Pick<Claim, 'machineId' | 'externalId'> {
  /** `since` of the claim: the next holder of the machine begins anew, even under the same name. */
  readonly claimedAt: number;
  /** Rounds in a row. */
  readonly rounds: number;
  /** When it was found first, epoch milliseconds. */
  readonly since: number;
  /** Whether a person was told. */
  readonly told: boolean;
}
