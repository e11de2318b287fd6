import { randomBytes } from 'node:crypto';
import { authorizationHeader } from '../../../src/wire/oauth/sign.ts';
import { parseApiKey, type OAuthKey } from '../../../src/wire/oauth/api-key.ts';
import type { Entry, SignatureMethod } from '../../../src/wire/oauth/signature.ts';
import { AdminService } from '../admin/admin-service.ts';

export interface MaasAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  readonly json: unknown;
}

export interface MaasCallOptions {
  readonly key?: OAuthKey | null;
  readonly signatureMethod?: SignatureMethod;
  /** Fields of an urlencoded body. */
  readonly form?: readonly Entry[];
  /** A body that is sent as it is. */
  readonly body?: string | Buffer;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Seconds that the client's clock is ahead. */
  readonly ahead?: number;
  readonly nonce?: string;
  readonly signal?: AbortSignal;
}

/** The real service with its MAAS door open, and one administrator's key. */
export class MaasService {
  readonly admin: AdminService;
  #key: OAuthKey | null = null;

  /** @param more further settings of the section `maas`, in YAML's flow style */
  constructor(more = '') {
    this.admin = new AdminService(undefined, `maas: {enabled: true, port: 0${more && `, ${more}`}}\n`);
  }

  async start(): Promise<void> {
    await this.admin.start();
    this.#key = await this.newKey();
  }

  /** Stops it and removes everything. */
  dispose(): Promise<void> {
    return this.admin.dispose();
  }

  get url(): string {
    return this.admin.maasUrl;
  }

  /** The administrator's key. */
  get key(): OAuthKey {
    if (!this.#key) throw new Error('the service is not running');
    return this.#key;
  }

  /** A new key of the principal, or of the administrator. */
  async newKey(principal?: string): Promise<OAuthKey> {
    const answer = await this.admin.post('/api-keys', { name: 'test', ...(principal && { principal }) });
    const key = parseApiKey((answer.json as unknown as { readonly key: string }).key);
    if (!key) throw new Error(answer.text);
    return key;
  }

  /** A MAAS user with a key. */
  async newUser(name: string, more: Readonly<Record<string, unknown>> = {}): Promise<OAuthKey> {
    await this.admin.post('/principals', { name, role: 'user', ...more });
    return this.newKey(name);
  }

  /** Signed by the administrator unless said otherwise. `path` is below `/MAAS/api/2.0/`, or begins with `/`. */
  async call(method: string, path: string, options: MaasCallOptions = {}): Promise<MaasAnswer> {
    const { key = this.key, signatureMethod = 'PLAINTEXT', form, ahead = 0 } = options;
    const url = path.startsWith('/') ? `${this.url}${path}` : `${this.url}/MAAS/api/2.0/${path}`;
    const body = form
      ? new URLSearchParams(form.map(([a, b]): [string, string] => [a, b])).toString()
      : options.body;
    const type = form ? 'application/x-www-form-urlencoded' : options.type;
    const authorization =
      key &&
      authorizationHeader({
        key,
        method,
        url,
        ...(form && { fields: form }),
        signatureMethod,
        timestamp: Math.floor(Date.now() / 1_000) + ahead,
        nonce: options.nonce ?? randomBytes(16).toString('hex'),
      });
    const response = await fetch(url, {
      method,
      headers: {
        ...(authorization && { authorization }),
        ...(type !== undefined && { 'content-type': type }),
        ...options.headers,
      },
      ...(body !== undefined && { body }),
      ...(options.signal && { signal: options.signal }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  }

  get(path: string, options?: MaasCallOptions): Promise<MaasAnswer> {
    return this.call('GET', path, options);
  }

  /** Sends the fields urlencoded. A list is a repeated field. */
  post(
    path: string,
    fields: Readonly<Record<string, string | readonly string[]>> = {},
    options: MaasCallOptions = {},
  ): Promise<MaasAnswer> {
    const form = Object.entries(fields).flatMap(([name, value]): Entry[] =>
      [value].flat().map((one): Entry => [name, one]),
    );
    return this.call('POST', path, { ...options, form });
  }
}
