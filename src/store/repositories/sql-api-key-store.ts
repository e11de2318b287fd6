import { Secret } from '../../../plugin-api/index.ts';
import type { ApiKey } from '../../core/access/api-key.ts';
import type { ApiKeyStore } from '../../core/storage/storage.ts';
import type { ApiKeyRow } from '../schema/access.ts';
import type { Sealer } from '../secrets/sealer.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';

export class SqlApiKeyStore implements ApiKeyStore {
  readonly #tables: Tables;
  readonly #session: Session;
  readonly #sealer: Sealer;

  constructor(tables: Tables, session: Session, sealer: Sealer) {
    this.#tables = tables;
    this.#session = session;
    this.#sealer = sealer;
  }

  async find(tokenKey: string): Promise<ApiKey | null> {
    const row = await this.#tables.apiKey.find(this.#session, { tokenKey });
    return row && this.#toKey(row);
  }

  async ofPrincipal(principal: string): Promise<readonly ApiKey[]> {
    const order = { createdAt: 'ASC', tokenKey: 'ASC' } as const;
    const rows = await this.#tables.apiKey.select(this.#session, { principal }, { order });
    return rows.map((row) => this.#toKey(row));
  }

  async insert(key: ApiKey): Promise<void> {
    const { tokenKey, consumerKey, secret, principal, name, createdAt } = key;
    const sealed = this.#sealer.seal(secret.reveal(), placeOf(tokenKey));
    await this.#tables.apiKey.insert(this.#session, [
      { tokenKey, consumerKey, secret: sealed, principal, name, createdAt },
    ]);
  }

  async rename(tokenKey: string, name: string): Promise<boolean> {
    return (await this.#tables.apiKey.update(this.#session, { name }, { tokenKey })) === 1;
  }

  async delete(tokenKey: string): Promise<boolean> {
    await this.#tables.nonce.delete(this.#session, { tokenKey });
    return (await this.#tables.apiKey.delete(this.#session, { tokenKey })) === 1;
  }

  async takeNonce(tokenKey: string, nonce: string, at: number): Promise<boolean> {
    if (await this.#tables.nonce.find(this.#session, { tokenKey, nonce })) return false;
    await this.#tables.nonce.insert(this.#session, [{ tokenKey, nonce, at }]);
    return true;
  }

  async forgetNonces(before: number): Promise<void> {
    await this.#tables.nonce.deleteBelow(this.#session, 'at', before);
  }

  #toKey({ tokenKey, consumerKey, secret, principal, name, createdAt }: ApiKeyRow): ApiKey {
    const opened = this.#sealer.open(secret, placeOf(tokenKey));
    return { tokenKey, consumerKey, secret: new Secret(opened), principal, name, createdAt };
  }
}

const placeOf = (tokenKey: string) => ({ table: 'api_key', row: tokenKey, field: 'secret' });
