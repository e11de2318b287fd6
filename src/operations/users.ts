import type { Clock, Secret } from '../../plugin-api/index.ts';
import type { Asker, Principal, PrincipalRecord, Role } from '../core/access/principal.ts';
import { authorise } from '../core/access/rights.ts';
import { parseScope, wholeScope } from '../core/access/scope.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import { FailureLimit, type FailureLimitOptions } from '../kernel/concurrency/failure-limit.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { Throttled } from '../kernel/errors/throttled.ts';
import { isValid, refuseOddName, type Access } from './access.ts';
import { hashNewPassword, isPassword } from './password-hash.ts';

export interface NewUser {
  readonly name: string;
  readonly role: Role;
  /** Default: everything. */
  readonly scope?: string;
  readonly email: string;
  readonly password: Secret | null;
}

/** Passwords that are checked at once, or wait for it, each some 50 ms of a core: more are told to come again. */
const mostChecks = 32;

/** Names and addresses of right logins of late: they are let through where others that try the name have to wait. */
const rememberedLogins = 1_000;

/** People with a password instead of a token, as a door for people makes them. */
export class Users {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #access: Access;
  readonly #failures: FailureLimit;
  /** `name address`, the oldest first. */
  readonly #right = new Set<string>();
  #checks = 0;

  constructor(storage: Storage, clock: Clock, access: Access, limit: FailureLimitOptions = {}) {
    this.#storage = storage;
    this.#clock = clock;
    this.#access = access;
    this.#failures = new FailureLimit(clock, limit);
  }

  /** Who may come, in order of name. Everybody may see who else there is, as in MAAS; never what proves it. */
  list(): Promise<readonly PrincipalRecord[]> {
    const now = this.#clock.now();
    return this.#storage.run(async (tx) => (await tx.principals.list()).filter((one) => isValid(one, now)));
  }

  async find(name: string): Promise<PrincipalRecord | null> {
    const found = await this.#storage.run((tx) => tx.principals.findByName(name));
    return found && isValid(found, this.#clock.now()) ? found : null;
  }

  /**
   * Somebody without token. The name of one who was removed may be given again: nothing of the former one's
   * is left.
   * @throws ServiceError `request.invalid`, `access.exists`, `access.in-use` while machines are held under the name
   */
  async create(
    { name, role, scope = wholeScope, email, password }: NewUser,
    by: Asker,
  ): Promise<PrincipalRecord> {
    authorise(by, 'principal.manage');
    refuseOddName(name);
    parseScope(scope);
    const passwordHash = password && (await hashNewPassword(password));
    const now = this.#clock.now();
    const record: PrincipalRecord = {
      name,
      role,
      scope,
      tokenHash: null,
      createdAt: now,
      revokedAt: null,
      expiresAt: null,
      lastUsedAt: null,
      email,
      passwordHash,
    };
    await this.#storage.run(async (tx) => {
      const known = await tx.principals.findByName(name);
      if (!known) return tx.principals.insert(record);
      if (known.revokedAt !== null) await refuseHolder(tx, name, 'given again');
      if (!(await tx.principals.reinstate(record)))
        throw new ServiceError({ code: 'access.exists', what: `there is a principal "${name}" already` });
      // A revocation leaves them where they are, worth nothing: they must not be worth something again.
      await deleteBelongings(tx, name);
    });
    return record;
  }

  /**
   * Removes somebody with keys, SSH keys and files.
   * @throws ServiceError `request.not-found`, `access.in-use` while machines are held by the user
   */
  async remove(name: string, by: Asker): Promise<void> {
    authorise(by, 'principal.manage');
    await this.#storage.run(async (tx) => {
      await refuseHolder(tx, name, 'removed');
      await this.#access.revoke(name, by);
      await deleteBelongings(tx, name);
    });
  }

  /** @throws ServiceError `request.not-found`, `request.invalid` */
  async setPassword(name: string, password: Secret, by: Asker): Promise<void> {
    if (by.principal !== name) authorise(by, 'principal.manage');
    const passwordHash = await hashNewPassword(password);
    if (!(await this.#storage.run((tx) => tx.principals.describe(name, { passwordHash }))))
      throw new ServiceError({ code: 'request.not-found', what: `there is no principal "${name}"` });
  }

  /**
   * Who has this name and password.
   * @param source the caller's address: too many wrong passwords from there, or for the name, and one has to wait
   * @throws ServiceError `request.unauthenticated`, `access.throttled`
   */
  async login(name: string, password: Secret, source: string): Promise<Principal> {
    const from = `from ${source}`;
    const of = `for ${name.slice(0, 64)}`;
    const familiar = `${name.slice(0, 64)} ${source}`;
    // Whoever tries somebody's name from elsewhere must not keep that person out.
    const waits = [from, ...(this.#right.has(familiar) ? [] : [of])].map((one) => this.#failures.wait(one));
    const wait = Math.max(...waits);
    if (wait > 0) throw new Throttled('access.throttled', wait, { what: 'too many wrong passwords' });
    if (this.#checks >= mostChecks)
      throw new Throttled('access.throttled', 1_000, { what: 'too many passwords are being checked' });
    const found = await this.find(name);
    if ((await this.#isPassword(password, found)) && found) {
      this.#remember(familiar);
      return found;
    }
    for (const one of [from, of]) this.#failures.fail(one);
    throw new ServiceError({ code: 'request.unauthenticated', what: 'name and password do not fit' });
  }

  async #isPassword(password: Secret, found: PrincipalRecord | null): Promise<boolean> {
    this.#checks += 1;
    try {
      return await isPassword(password, found?.passwordHash ?? null);
    } finally {
      this.#checks -= 1;
    }
  }

  #remember(familiar: string): void {
    this.#right.delete(familiar);
    this.#right.add(familiar);
    if (this.#right.size > rememberedLogins) this.#right.delete(this.#right.values().next().value!);
  }
}

/** @throws ServiceError `access.in-use` */
async function refuseHolder(tx: Tx, name: string, what: string): Promise<void> {
  const held = (await tx.claims.list()).filter((claim) => claim.holder === 'user' && claim.owner === name);
  if (held.length > 0)
    throw new ServiceError({
      code: 'access.in-use',
      what: `${name} cannot be ${what}: ${held.length} machine(s) are still allocated`,
    });
}

/** What is worth something to whoever has the name: keys, SSH keys, certificates, files and reserved addresses. */
async function deleteBelongings(tx: Tx, name: string): Promise<void> {
  for (const key of await tx.apiKeys.ofPrincipal(name)) await tx.apiKeys.delete(key.tokenKey);
  for (const kind of ['ssh-key', 'ssl-key', 'file', 'ip-address'] as const)
    for (const record of await tx.records.list(kind, name)) await tx.records.delete(kind, record.id);
}
