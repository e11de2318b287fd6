import { randomBytes } from 'node:crypto';
import { parseApiKey, type OAuthKey } from '../../src/wire/oauth/api-key.ts';
import { authorizationHeader } from '../../src/wire/oauth/sign.ts';
import type { Entry } from '../../src/wire/oauth/signature.ts';

export interface MaasClientAnswer {
  readonly status: number;
  readonly text: string;
  /** The parsed body, trusted to have what the test reads; null when it is not JSON. */
  readonly json: MaasMachine;
}

/** What tests read of a machine or an interface. */
export interface MaasMachine {
  readonly system_id: string;
  readonly hostname: string;
  readonly status: number;
  readonly status_name: string;
  readonly owner: string | null;
  readonly power_state: string;
  readonly osystem: string;
  readonly distro_series: string;
  readonly interface_set: readonly MaasInterface[];
  readonly [key: string]: unknown;
}

export interface MaasInterface {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly mac_address: string;
  readonly parents: readonly string[];
  readonly params: Readonly<Record<string, unknown>>;
  readonly vlan: { readonly id: number; readonly vid: number; readonly fabric_id: number } | null;
  readonly links: readonly {
    readonly id: number;
    readonly mode: string;
    readonly subnet?: { readonly id: number };
  }[];
  readonly [key: string]: unknown;
}

export type MaasFields = Readonly<Record<string, string | number | readonly (string | number)[]>>;

/** A client of the MAAS API, as simple as they are: PLAINTEXT signatures, urlencoded bodies. */
export class MaasClient {
  readonly #root: string;
  readonly #key: OAuthKey;

  /** @param root with `/MAAS` at its end */
  constructor(root: string, key: string) {
    const parsed = parseApiKey(key);
    if (!parsed) throw new Error('that is no API key');
    this.#root = root;
    this.#key = parsed;
  }

  get(path: string): Promise<MaasClientAnswer> {
    return this.#call('GET', path, null);
  }

  post(path: string, fields: MaasFields = {}): Promise<MaasClientAnswer> {
    return this.#call('POST', path, fields);
  }

  put(path: string, fields: MaasFields): Promise<MaasClientAnswer> {
    return this.#call('PUT', path, fields);
  }

  delete(path: string): Promise<MaasClientAnswer> {
    return this.#call('DELETE', path, null);
  }

  async #call(method: string, path: string, fields: MaasFields | null): Promise<MaasClientAnswer> {
    const url = `${this.#root}/api/2.0/${path}`;
    const form = Object.entries(fields ?? {}).flatMap(([name, value]): Entry[] =>
      [value].flat().map((one): Entry => [name, String(one)]),
    );
    const authorization = authorizationHeader({
      key: this.#key,
      method,
      url,
      signatureMethod: 'PLAINTEXT',
      timestamp: Math.floor(Date.now() / 1_000),
      nonce: randomBytes(16).toString('hex'),
    });
    const response = await fetch(url, {
      method,
      headers: { authorization },
      ...(fields && { body: new URLSearchParams(form.map(([a, b]): [string, string] => [a, b])) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    return { status: response.status, text, json: (isJson ? JSON.parse(text) : null) as MaasMachine };
  }
}
