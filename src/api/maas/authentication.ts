import { minutes, seconds, type Clock } from '../../../plugin-api/index.ts';
import { askerOf, type Principal } from '../../core/access/principal.ts';
import { parseScope } from '../../core/access/scope.ts';
import { FailureLimit, type FailureLimitOptions } from '../../kernel/concurrency/failure-limit.ts';
import type { ApiKeys } from '../../operations/api-keys.ts';
import type { OAuthValues } from '../../wire/oauth/oauth-values.ts';
import { isSignatureMethod, isSignatureRight, type ReceivedRequest } from '../../wire/oauth/verify.ts';
import type { MaasUser } from './handler.ts';
import { MaasRefusal } from './maas-refusal.ts';
import { NonceMemory } from './nonce-memory.ts';

export const door = 'maas';

/** Timestamps may be so far off, to either side. */
const tolerance = seconds(300);

const shortMemory = { life: minutes(11), nonces: 100_000, keys: 10_000 };

/** Nothing that is longer than these is a key or a nonce; the database's columns are as wide. */
const widest = { key: 64, nonce: 128 };

/** Who signs a request. Every refusal is as MAAS words it, and repeats no secret. */
export class Authentication {
  readonly #keys: ApiKeys;
  readonly #clock: Clock;
  readonly #failures: FailureLimit;
  /** Of PLAINTEXT requests: docs/decisions/0016. */
  readonly #nonces: NonceMemory;
  /** Keys that signed rightly of late, each with its address, the oldest first: they are let through where others are throttled. */
  readonly #right = new Set<string>();

  constructor(keys: ApiKeys, clock: Clock, limit: FailureLimitOptions = {}) {
    this.#keys = keys;
    this.#clock = clock;
    this.#failures = new FailureLimit(clock, limit);
    this.#nonces = new NonceMemory(clock, shortMemory.life, shortMemory.nonces);
  }

  /**
   * The signature of a request whose head is here: what can be checked before the body is read, and what then is left.
   * @param source the caller's address: too many wrong signatures from there, or by the key, and one has to wait
   * @throws MaasRefusal 400, 401 or 429
   */
  async begin(values: OAuthValues, source: string): Promise<PendingSignature> {
    const familiar = `${values.token} ${source}`;
    const byKey = `key ${values.token.slice(0, widest.key)}`;
    // Whoever tries a key from elsewhere must not keep its owner out.
    if (!this.#right.has(familiar)) {
      this.refuseThrottled(source);
      this.refuseThrottled(byKey);
    }
    const fail = (message: string, counted: readonly string[] = [source]): MaasRefusal => {
      for (const one of counted) this.#failures.fail(one);
      return refused(message);
    };
    if (values.version !== null && values.version !== '1.0')
      throw fail(`'OAuth version ${shown(values.version)} not supported.'`);
    const { consumerKey, token, nonce } = values;
    if (consumerKey.length > widest.key || token.length > widest.key) throw fail('Invalid API key.');
    const holder = await this.#keys.holder(token);
    if (!holder) throw fail('Invalid API key.');
    if (holder.key.consumerKey !== consumerKey) throw fail('Invalid API key.');
    if (!/^\d{1,15}$/.test(values.timestamp))
      throw new MaasRefusal(400, 'Bad Request: oauth_timestamp is not a number.');
    const now = Math.floor(this.#clock.now() / 1_000);
    const given = Number(values.timestamp);
    if (Math.abs(now - given) > tolerance / 1_000)
      throw fail(
        `'Expired timestamp: given ${given} and now ${now} has a greater difference than threshold 300'`,
      );
    if (nonce.length > widest.nonce) throw fail("'The nonce is too long.'");
    if (!isSignatureMethod(values.signatureMethod))
      throw fail(
        `'Signature method ${shown(values.signatureMethod)} not supported try one of the following: PLAINTEXT, HMAC-SHA1'`,
      );
    const finish = async (request: ReceivedRequest): Promise<MaasUser> => {
      if (!isSignatureRight(values, holder.key.secret, request))
        throw fail("'Invalid signature.'", [source, byKey]);
      // Only who knows the secret can make us remember anything.
      const fresh =
        values.signatureMethod === 'PLAINTEXT'
          ? this.#nonces.take(token, nonce)
          : await this.#keys.takeNonce(token, nonce);
      if (!fresh) throw fail(`'Nonce already used: ${shown(nonce)}'`);
      this.#remember(familiar);
      return maasUser(holder.principal);
    };
    return { needsBody: values.signatureMethod === 'HMAC-SHA1', finish };
  }

  /** @throws MaasRefusal 429 */
  refuseThrottled(source: string): void {
    const wait = this.#failures.wait(source);
    if (wait > 0)
      throw new MaasRefusal(
        429,
        'Too many wrong signatures came from this address, or by this key.',
        Math.ceil(wait / 1_000),
      );
  }

  #remember(familiar: string): void {
    this.#right.delete(familiar);
    this.#right.add(familiar);
    if (this.#right.size > shortMemory.keys) this.#right.delete(this.#right.values().next().value!);
  }
}

export interface PendingSignature {
  /** Whether the signature covers the body. */
  readonly needsBody: boolean;
  /** @throws MaasRefusal 401 */
  finish(request: ReceivedRequest): Promise<MaasUser>;
}

/** 401 for a request without, or with half, a signature. */
export function unsigned(): MaasRefusal {
  return new MaasRefusal(401, 'Forbidden');
}

/** 401 for a signature that is wrong. */
export function refused(message: string): MaasRefusal {
  return new WrongSignature(`Authorization Error: ${message}`);
}

/** Told as HTML, with a challenge, as MAAS does. */
export class WrongSignature extends MaasRefusal {
  constructor(body: string) {
    super(401, body);
  }
}

/** Administrators are who may act on everything: somebody whose scope is limited is a user here. */
export function maasUser(principal: Principal): MaasUser {
  const { role, scope } = principal;
  return {
    principal,
    isAdmin: (role === 'admin' || role === 'operator') && parseScope(scope).whole,
    asker: (reason = '') => askerOf(principal, door, reason),
  };
}

/** Texts of the caller's in an answer: short, and nothing that HTML or a log would read. */
function shown(text: string): string {
  return text.slice(0, 64).replaceAll(/[^A-Za-z0-9._~-]/g, '?');
}
