export type Role = 'admin' | 'operator' | 'viewer' | 'cloud' | 'user';

/** A person, service or machine with a role and a scope. Doors authenticate; operations authorise and record. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
  /** What it may touch: `*`, or a pool or cloud name. */
  readonly scope: string;
}

/** A stored principal with the hash of its token; the token itself is shown once and never kept. */
export interface PrincipalRecord extends Principal {
  /** SHA-256 of the bearer token, hex; null for principals that do not log in by token. */
  readonly tokenHash: string | null;
  readonly createdAt: number;
  readonly revokedAt: number | null;
}

/** Who asked, through which door, and why: recorded with every operation. */
export interface Requester {
  readonly principal: string;
  readonly door: string;
  readonly reason: string;
}
