export const roles = ['admin', 'operator', 'viewer', 'cloud', 'user'] as const;

/** What a principal may do; `rights.ts` has the table. */
export type Role = (typeof roles)[number];

/** A person, service or machine with a role and a scope. Doors authenticate; operations authorise and record. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
  /** Which machines it may touch, as `scope.ts` reads it: `*`, or terms like `pool:gpu,site:berlin`. */
  readonly scope: string;
}

/** A stored principal with the hash of its token; the token itself is shown once and never kept. */
export interface PrincipalRecord extends Principal {
  /** SHA-256 of the bearer token, hex; null for principals that do not log in by token. */
  readonly tokenHash: string | null;
  readonly createdAt: number;
  readonly revokedAt: number | null;
  /** Epoch milliseconds after which the token is worth nothing; null = it does not expire. */
  readonly expiresAt: number | null;
  /** Epoch milliseconds of a recent use, written at most every few minutes; null before the first. */
  readonly lastUsedAt: number | null;
  /** Address of the person, for clients that show one. */
  readonly email: string;
  /** scrypt, `salt:hash` in base64; null for principals that do not log in by password. */
  readonly passwordHash: string | null;
}

/** Who asked, through which door, and why: recorded with every operation. */
export interface Requester {
  readonly principal: string;
  readonly door: string;
  readonly reason: string;
}

/** Somebody who asks for something: authenticated by a door, and yet to be authorised. */
export interface Asker extends Requester {
  readonly role: Role;
  readonly scope: string;
}

/** A principal as it asks through a door. */
export function askerOf({ name, role, scope }: Principal, door: string, reason: string): Asker {
  return { principal: name, door, reason, role, scope };
}

/** What is recorded of an asker. */
export function requesterOf({ principal, door, reason }: Asker): Requester {
  return { principal, door, reason };
}
