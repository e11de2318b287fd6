import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { minutes, type Clock, type Secret } from '../../plugin-api/index.ts';
import type { Asker, Principal, PrincipalRecord, Role } from '../core/access/principal.ts';
import { authorise } from '../core/access/rights.ts';
import { parseScope, wholeScope } from '../core/access/scope.ts';
import { isBearerToken } from '../core/access/bearer-token.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import { FailureLimit, type FailureLimitOptions } from '../kernel/concurrency/failure-limit.ts';
import { Mutex } from '../kernel/concurrency/mutex.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { Throttled } from '../kernel/errors/throttled.ts';
import { newToken } from '../kernel/ids/ids.ts';
import { hashNewPassword } from './password-hash.ts';

/** A use is written down when the one on record is older than this: not with every request. */
const useResolution = minutes(5);

/** Tokens that were right lately are let through where their neighbours are throttled; so many are remembered. */
const rememberedTokens = 1_000;

/** What a new principal is to be. */
export interface NewPrincipal {
  readonly name: string;
  readonly role: Role;
  readonly scope: string;
  /** Milliseconds from now until the token ends; null = it does not end by itself. */
  readonly lifetime: number | null;
  readonly email?: string;
  /** For a login by password besides the token; null or absent = there is none. */
  readonly password?: Secret | null;
}

/** A token that is shown now and never again. */
export interface NewToken {
  readonly token: string;
  readonly expiresAt: number | null;
}

/** Who may use the service: principals with bearer tokens, of which only the hashes are kept. */
export class Access {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #failures: FailureLimit;
  /** Hashes of tokens that were right lately, the oldest first. */
  readonly #right = new Set<string>();
  /** One at a time: of two, each would be told a token, and the file have the one that is worth nothing. */
  readonly #rotating = new Mutex();
  #tokenFile: string | null = null;

  constructor(storage: Storage, clock: Clock, limit: FailureLimitOptions = {}) {
    this.#storage = storage;
    this.#clock = clock;
    this.#failures = new FailureLimit(clock, limit);
  }

  /**
   * Makes the first administrator when there is none: with the given token, or with a new one that is written to `file`, for
   * its owner only. Returns the file when it was written.
   */
  async ensureFirstAdmin(token: Secret | null, file: string): Promise<string | null> {
    this.#tokenFile = file;
    const known = await this.#storage.run((tx) => tx.principals.list());
    finishDraft(file, known);
    const now = this.#clock.now();
    if (known.some((one) => one.role === 'admin' && isValid(one, now))) return null;
    const text = token?.reveal() ?? newToken();
    // A revoked principal keeps its name.
    const taken = new Set(known.map((one) => one.name));
    let name = 'admin';
    for (let n = 2; taken.has(name); n += 1) name = `admin-${n}`;
    // One that no request can carry would be an administrator who cannot log in, and could not be got rid of.
    if (token && !isBearerToken(text))
      throw new ServiceError({
        code: 'config.invalid',
        what: 'admin.token is no token',
        remedy: 'write one line of letters, digits and signs without spaces, 512 at most',
      });
    if (!token && existsSync(file))
      throw new ServiceError({
        code: 'config.invalid',
        what: `${file} exists, but the database knows no administrator`,
        remedy: 'move the file away, or restore the database that belongs to it',
      });
    // On disk before it is in force: an administrator whose token nobody has could not be got rid of.
    if (!token) writeDraft(file, text);
    await this.#insert({ name, role: 'admin', scope: wholeScope, lifetime: null }, text);
    if (token) return null;
    renameSync(draftOf(file), file);
    return file;
  }

  /** A new principal; its token is returned once and never kept. */
  async create(wanted: NewPrincipal, by: Asker): Promise<NewToken> {
    authorise(by, 'principal.manage');
    refuseOddName(wanted.name);
    if (wanted.role === 'user') throw tokenForUser();
    parseScope(wanted.scope);
    const token = newToken();
    return { token, expiresAt: await this.#insert(wanted, token) };
  }

  /**
   * Who comes with this token.
   * @param source the caller's address: too many wrong tokens from there, and it has to wait
   * @throws ServiceError `request.unauthenticated`, `access.throttled`
   */
  async authenticate(token: string, source: string): Promise<Principal> {
    const tokenHash = hash(token);
    // Others behind the same address must not be locked out by one that keeps trying a revoked token.
    if (!this.#right.has(tokenHash)) this.refuseThrottled(source);
    // A token of 256 random bits is looked up by its hash: nothing about it can be learned from the time that takes.
    const found = await this.#storage.run(async (tx) => {
      const principal = await tx.principals.findByTokenHash(tokenHash);
      const now = this.#clock.now();
      if (principal && isValid(principal, now) && now - (principal.lastUsedAt ?? 0) > useResolution)
        await tx.principals.used(principal.name, now);
      return principal;
    });
    if (found && isValid(found, this.#clock.now())) {
      this.#remember(tokenHash);
      return found;
    }
    this.#right.delete(tokenHash);
    this.#failures.fail(source);
    // Only who had the token learns that it was one.
    const ended = found !== null && found.revokedAt === null;
    throw new ServiceError({
      code: 'request.unauthenticated',
      what: ended ? 'the token has expired' : 'the token is not valid',
      ...(ended && { remedy: 'ask an administrator for a new one: csbm principal rotate' }),
    });
  }

  /** @throws ServiceError `access.throttled` */
  refuseThrottled(source: string): void {
    const wait = this.#failures.wait(source);
    if (wait > 0)
      throw new Throttled('access.throttled', wait, {
        what: `too many wrong credentials came from ${source}`,
        remedy: `correct the token, and try again in ${Math.ceil(wait / 1_000)} s`,
      });
  }

  list(by: Asker): Promise<readonly PrincipalRecord[]> {
    authorise(by, 'principal.manage');
    return this.#storage.run((tx) => tx.principals.list());
  }

  /** @throws ServiceError `access.last-admin` */
  async revoke(name: string, by: Asker): Promise<void> {
    authorise(by, 'principal.manage');
    const now = this.#clock.now();
    const revoked = await this.#storage.run(async (tx) => {
      await refuseLastAdmin(tx, name, now);
      return tx.principals.revoke(name, now);
    });
    if (!revoked) throw noPrincipal(name, 'revoke');
  }

  /**
   * Another token for the principal; the one it has is worth nothing from now on. If that one lies in the first
   * administrator's token file, the file gets the new one.
   * @param lifetime as in {@link NewPrincipal}
   * @throws ServiceError `access.last-admin` where the last administrator's token would expire
   */
  rotate(name: string, lifetime: number | null, by: Asker): Promise<NewToken> {
    return this.#rotating.run(() => this.#rotate(name, lifetime, by));
  }

  async #rotate(name: string, lifetime: number | null, by: Asker): Promise<NewToken> {
    authorise(by, 'principal.manage');
    const token = newToken();
    const before = await this.#storage.run(async (tx) => {
      if (lifetime !== null) await refuseLastAdmin(tx, name, this.#clock.now());
      return tx.principals.findByName(name);
    });
    if (before?.role === 'user') throw tokenForUser();
    const file = before && this.#fileWith(before.tokenHash);
    // On disk before it is in force: a crash in between must not leave an administrator without any token.
    if (file) writeDraft(file, token);
    const expiresAt = lifetime === null ? null : this.#clock.now() + lifetime;
    const done = await this.#storage.run((tx) => tx.principals.replaceToken(name, hash(token), expiresAt));
    if (!done) {
      if (file) rmSync(draftOf(file), { force: true });
      throw noPrincipal(name, 'give a new token to');
    }
    if (file) renameSync(draftOf(file), file);
    return { token, expiresAt };
  }

  #fileWith(tokenHash: string | null): string | null {
    const file = this.#tokenFile;
    if (file === null || tokenHash === null || !existsSync(file)) return null;
    return hash(readFileSync(file, 'utf8').trim()) === tokenHash ? file : null;
  }

  async #insert(wanted: NewPrincipal, token: string): Promise<number | null> {
    const { name, role, scope, lifetime, email = '', password = null } = wanted;
    const passwordHash = password && (await hashNewPassword(password));
    const now = this.#clock.now();
    const expiresAt = lifetime === null ? null : now + lifetime;
    await this.#storage.run(async (tx) => {
      const known = await tx.principals.findByName(name);
      if (known)
        throw new ServiceError({
          code: 'access.exists',
          what: `there ${known.revokedAt === null ? 'is' : 'was'} a principal "${name}" already`,
        });
      await tx.principals.insert({
        name,
        role,
        scope,
        tokenHash: hash(token),
        createdAt: now,
        revokedAt: null,
        expiresAt,
        lastUsedAt: null,
        email,
        passwordHash,
      });
    });
    return expiresAt;
  }

  #remember(tokenHash: string): void {
    this.#right.delete(tokenHash);
    this.#right.add(tokenHash);
    if (this.#right.size > rememberedTokens) this.#right.delete(this.#right.values().next().value!);
  }
}

/** The token file before it has its name. */
const draftOf = (file: string): string => `${file}.new`;

/** @throws ServiceError `config.invalid` */
function writeDraft(file: string, token: string): void {
  try {
    rmSync(draftOf(file), { force: true });
    writeFileSync(draftOf(file), `${token}\n`, { mode: 0o600, flag: 'wx', flush: true });
  } catch (cause) {
    throw new ServiceError({
      code: 'config.invalid',
      what: 'the token of the first administrator cannot be written',
      where: file,
      said: cause instanceof Error ? cause.message : String(cause),
      remedy: 'make room there, or set admin.tokenFile to a file in a folder that the service can write',
      cause,
    });
  }
}

/** What a crash left: the token in it is in force, and the file gets its name; or it never was, and goes. */
function finishDraft(file: string, known: readonly PrincipalRecord[]): void {
  const draft = draftOf(file);
  if (!existsSync(draft)) return;
  const tokenHash = hash(readFileSync(draft, 'utf8').trim());
  if (known.some((one) => one.tokenHash === tokenHash)) renameSync(draft, file);
  else rmSync(draft);
}

/** After the last one is gone nobody could make another. */
async function refuseLastAdmin(tx: Tx, name: string, now: number): Promise<void> {
  const admins = (await tx.principals.list()).filter(
    (one) => one.role === 'admin' && one.scope === wholeScope && one.expiresAt === null && isValid(one, now),
  );
  if (admins.length === 1 && admins[0]!.name === name)
    throw new ServiceError({
      code: 'access.last-admin',
      what: `${name} is the last administrator whose scope is everything and whose token does not expire`,
    });
}

/** Whether the principal may come: it was not revoked, and has not expired. */
export function isValid({ revokedAt, expiresAt }: PrincipalRecord, now: number): boolean {
  return revokedAt === null && (expiresAt === null || now < expiresAt);
}

/**
 * A user may act on what it holds, and only a door that hands machines out knows what that is: at the others, a token would
 * reach every machine of its scope.
 */
function tokenForUser(): ServiceError {
  return new ServiceError({
    code: 'request.invalid',
    what: 'a principal of role user has no token',
    remedy: 'give it an API key: csbm api-key create --user NAME',
  });
}

/** @throws ServiceError `request.invalid` */
export function refuseOddName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/.test(name))
    throw new ServiceError({ code: 'request.invalid', what: `"${name}" is not a name for a principal` });
}

function noPrincipal(name: string, what: string): ServiceError {
  return new ServiceError({ code: 'request.not-found', what: `there is no principal "${name}" to ${what}` });
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
