/** Kinds of doors that can hand out a machine. */
export const claimDoors = ['cloudstack', 'maas'] as const;

export type ClaimDoor = (typeof claimDoors)[number];

/** Machines that are handed out by the same rules. */
export interface Pool {
  /** Number for clients that want one. */
  readonly id: number;
  readonly name: string;
  readonly description: string;
  /** Which doors may claim from it. */
  readonly doors: readonly ClaimDoor[];
  /** Whether a deployed machine may stay on the provisioning network: everybody there can then speak with it. */
  readonly trusted: boolean;
  readonly version: number;
}

/** The rules of a pool that nobody has described. */
export const defaultPoolRules: Pick<Pool, 'description' | 'doors' | 'trusted'> = {
  description: '',
  doors: claimDoors,
  trusted: false,
};
