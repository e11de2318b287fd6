import type { PrincipalRecord } from '../../core/access/principal.ts';
import type { PrincipalStore } from '../../core/storage/storage.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';

export class SqlPrincipalStore implements PrincipalStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  findByName(name: string): Promise<PrincipalRecord | null> {
    return this.#tables.principal.find(this.#session, { name });
  }

  /** Also a revoked one, so that the door can say so: look at `revokedAt`. */
  findByTokenHash(tokenHash: string): Promise<PrincipalRecord | null> {
    return this.#tables.principal.find(this.#session, { tokenHash });
  }

  list(): Promise<readonly PrincipalRecord[]> {
    return this.#tables.principal.select(this.#session, {}, { order: { name: 'ASC' } });
  }

  async insert(principal: PrincipalRecord): Promise<void> {
    await this.#tables.principal.insert(this.#session, [principal]);
  }

  async revoke(name: string, at: number): Promise<boolean> {
    const where = { name, revokedAt: null };
    return (await this.#tables.principal.update(this.#session, { revokedAt: at }, where)) === 1;
  }

  async reinstate(principal: PrincipalRecord): Promise<boolean> {
    const { name, ...row } = principal;
    const known = await this.findByName(name);
    if (!known || known.revokedAt === null) return false;
    const where = { name, revokedAt: known.revokedAt };
    return (await this.#tables.principal.update(this.#session, row, where)) === 1;
  }

  async replaceToken(name: string, tokenHash: string, expiresAt: number | null): Promise<boolean> {
    const where = { name, revokedAt: null };
    return (await this.#tables.principal.update(this.#session, { tokenHash, expiresAt }, where)) === 1;
  }

  async describe(
    name: string,
    change: Partial<Pick<PrincipalRecord, 'role' | 'scope' | 'email' | 'passwordHash'>>,
  ): Promise<boolean> {
    const where = { name, revokedAt: null };
    return (await this.#tables.principal.update(this.#session, change, where)) === 1;
  }

  async used(name: string, at: number): Promise<void> {
    await this.#tables.principal.update(this.#session, { lastUsedAt: at }, { name });
  }
}
