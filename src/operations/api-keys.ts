import { randomInt } from 'node:crypto';
import { minutes, Secret, type Clock } from '../../plugin-api/index.ts';
import type { ApiKey } from '../core/access/api-key.ts';
import type { Asker, PrincipalRecord } from '../core/access/principal.ts';
import { authorise } from '../core/access/rights.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { isValid } from './access.ts';

const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';

/** Longest a nonce can be used again: timestamps may be 5 min off on either side. */
const nonceLife = minutes(11);

/** Keys by which MAAS clients sign: `consumer:token:secret`. Everybody has the say about his own, administrators about all. */
export class ApiKeys {
  readonly #storage: Storage;
  readonly #clock: Clock;
  /** When nonces were last forgotten, by both clocks. */
  #nonceSweep: { readonly wall: number; readonly monotonic: number } | null = null;

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** A new key of the principal; the secret is in it, and is shown to nobody later but its owner. */
  create(principal: string, name: string, by: Asker): Promise<ApiKey> {
    return this.#storage.run((tx) => this.#create(tx, principal, name, by));
  }

  /** The principal's key of this name, or a new one: what a login by password gives. */
  ensure(principal: string, name: string, by: Asker): Promise<ApiKey> {
    return this.#storage.run(async (tx) => {
      authoriseOwn(by, principal);
      const known = (await tx.apiKeys.ofPrincipal(principal)).find((key) => key.name === name);
      return known ?? this.#create(tx, principal, name, by);
    });
  }

  /** The oldest first. */
  list(principal: string, by: Asker): Promise<readonly ApiKey[]> {
    authoriseOwn(by, principal);
    return this.#storage.run(async (tx) => {
      await this.#owner(tx, principal);
      return tx.apiKeys.ofPrincipal(principal);
    });
  }

  /** @throws ServiceError `request.not-found`, also where it is somebody else's */
  async rename(tokenKey: string, name: string, by: Asker): Promise<void> {
    refuseLongName(name);
    await this.#storage.run(async (tx) => {
      await ownKey(tx, tokenKey, by);
      await tx.apiKeys.rename(tokenKey, name);
    });
  }

  /** The key is worth nothing from now on. @throws ServiceError `request.not-found`, also where it is somebody else's */
  async revoke(tokenKey: string, by: Asker): Promise<void> {
    await this.#storage.run(async (tx) => {
      await ownKey(tx, tokenKey, by);
      await tx.apiKeys.delete(tokenKey);
    });
  }

  /** The key and whose it is; null where there is none, or its owner may not come any more. */
  holder(tokenKey: string): Promise<{ readonly key: ApiKey; readonly principal: PrincipalRecord } | null> {
    return this.#storage.run(async (tx) => {
      const key = await tx.apiKeys.find(tokenKey);
      const principal = key && (await tx.principals.findByName(key.principal));
      return principal && isValid(principal, this.#clock.now()) ? { key, principal } : null;
    });
  }

  /** Remembers a nonce for as long as its request could be repeated; false when it was used before. */
  takeNonce(tokenKey: string, nonce: string): Promise<boolean> {
    const now = this.#clock.now();
    return this.#storage.run(async (tx) => {
      await this.#sweepNonces(tx, now);
      return tx.apiKeys.takeNonce(tokenKey, nonce, now);
    });
  }

  /**
   * Forgets nonces that are older by both clocks: after a jump of the wall clock, forth and back, a request that was answered
   * a minute ago must not be taken once more.
   */
  async #sweepNonces(tx: Tx, wall: number): Promise<void> {
    const monotonic = this.#clock.monotonic();
    const last = this.#nonceSweep;
    if (last && monotonic - last.monotonic < nonceLife) return;
    this.#nonceSweep = { wall, monotonic };
    if (last) await tx.apiKeys.forgetNonces(Math.min(last.wall + 1, wall - nonceLife));
  }

  async #create(tx: Tx, principal: string, name: string, by: Asker): Promise<ApiKey> {
    authoriseOwn(by, principal);
    refuseLongName(name);
    await this.#owner(tx, principal);
    const key: ApiKey = {
      consumerKey: newKeyPart(18),
      tokenKey: newKeyPart(18),
      secret: new Secret(newKeyPart(32)),
      principal,
      name,
      createdAt: this.#clock.now(),
    };
    await tx.apiKeys.insert(key);
    return key;
  }

  async #owner(tx: Tx, name: string): Promise<PrincipalRecord> {
    const principal = await tx.principals.findByName(name);
    if (principal && isValid(principal, this.#clock.now())) return principal;
    throw new ServiceError({
      code: 'request.not-found',
      what: `there is no principal "${name}" that may have keys`,
    });
  }
}

function authoriseOwn(by: Asker, principal: string): void {
  if (by.principal !== principal) authorise(by, 'principal.manage');
}

async function ownKey(tx: Tx, tokenKey: string, by: Asker): Promise<ApiKey> {
  const key = await tx.apiKeys.find(tokenKey);
  if (key && key.principal !== by.principal) authoriseOrHide(by, tokenKey);
  if (!key) throw noKey(tokenKey);
  return key;
}

/** Nobody learns by asking which keys others have. */
function authoriseOrHide(by: Asker, tokenKey: string): void {
  try {
    authorise(by, 'principal.manage');
  } catch {
    throw noKey(tokenKey);
  }
}

function noKey(tokenKey: string): ServiceError {
  return new ServiceError({ code: 'request.not-found', what: `there is no API key "${tokenKey}"` });
}

function refuseLongName(name: string): void {
  if (name.length > 255)
    throw new ServiceError({ code: 'request.invalid', what: 'the name of a key has 255 characters at most' });
}

/** Letters and digits, as MAAS makes them. */
function newKeyPart(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}
