import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import type { Clock, Secret } from '../../plugin-api/index.ts';
import type { Principal, PrincipalRecord, Role } from '../core/access/principal.ts';
import type { Storage } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { newToken } from '../kernel/ids/ids.ts';

/** Who may use the admin API: principals with bearer tokens, of which only the hashes are kept. */
export class Access {
  readonly #storage: Storage;
  readonly #clock: Clock;

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /**
   * Makes the first administrator when there is none: with the given token, or with a new one that is written to `file`, for
   * its owner only. Returns the file when it was written.
   */
  async ensureFirstAdmin(token: Secret | null, file: string): Promise<string | null> {
    const admins = await this.#storage.run(async (tx) =>
      (await tx.principals.list()).filter((p) => p.role === 'admin' && p.revokedAt === null),
    );
    if (admins.length > 0) return null;
    const text = token?.reveal() ?? newToken();
    await this.#insert('admin', 'admin', '*', text);
    if (token) return null;
    if (existsSync(file))
      throw new ServiceError({
        code: 'config.invalid',
        what: `${file} exists, but the database knows no administrator`,
        remedy: 'move the file away, or restore the database that belongs to it',
      });
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return file;
  }

  /** A new principal; its token is returned once and never kept. */
  async create(name: string, role: Role, scope: string): Promise<string> {
    if (!/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/.test(name))
      throw new ServiceError({ code: 'request.invalid', what: `"${name}" is not a name for a principal` });
    const token = newToken();
    await this.#insert(name, role, scope, token);
    return token;
  }

  /** @throws ServiceError `request.unauthenticated` */
  async authenticate(token: string): Promise<Principal> {
    // A token of 256 random bits is looked up by its hash: nothing about it can be learned from the time that takes.
    const principal = await this.#storage.run((tx) => tx.principals.findByTokenHash(hash(token)));
    if (!principal || principal.revokedAt !== null)
      throw new ServiceError({ code: 'request.unauthenticated', what: 'the token is not valid' });
    return principal;
  }

  list(): Promise<readonly PrincipalRecord[]> {
    return this.#storage.run((tx) => tx.principals.list());
  }

  async revoke(name: string): Promise<void> {
    if (!(await this.#storage.run((tx) => tx.principals.revoke(name, this.#clock.now())))) {
      throw new ServiceError({
        code: 'request.not-found',
        what: `there is no principal "${name}" to revoke`,
      });
    }
  }

  async #insert(name: string, role: Role, scope: string, token: string): Promise<void> {
    await this.#storage.run((tx) =>
      tx.principals.insert({
        name,
        role,
        scope,
        tokenHash: hash(token),
        createdAt: this.#clock.now(),
        revokedAt: null,
      }),
    );
  }
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
