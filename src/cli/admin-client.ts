import type { JsonValue } from '../../plugin-api/index.ts';
import { CodedError, seconds, type Duration, type ErrorParts } from '../../plugin-api/index.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Target, Trust } from './credentials.ts';
import { isUntrusted, sendRequest, textOf } from './http-request.ts';
import type { IncomingMessage } from 'node:http';

/** A refusal as the service told it, with its problems where it listed some. */
export class RefusedError extends CodedError {
  readonly #problems: JsonValue | undefined;

  constructor(parts: ErrorParts, problems: JsonValue | undefined) {
    super(parts);
    this.#problems = problems;
  }

  override toJSON(): ErrorParts & { readonly problems?: JsonValue } {
    const problems = this.#problems;
    return { ...super.toJSON(), ...(problems !== undefined && { problems }) };
  }
}

export interface CallOptions {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly text?: string;
  readonly signal?: AbortSignal;
}

/**
 * The admin API from outside. Every call rejects with the service's own error as a `CodedError`, or with
 * `service.unreachable`.
 */
export class AdminClient {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  get url(): string {
    return this.#target.url;
  }

  /** For requests that are not made here. Holds the token: not for printing. */
  get authorization(): string {
    return `Bearer ${this.#target.token.reveal()}`;
  }

  /** For requests that are not made here. */
  get trust(): Trust {
    return this.#target.trust;
  }

  get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  /** `path` begins with `/` and is below `/api/v1`; what the service answers is trusted to be of the asked-for shape. */
  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.#send(method, `/api/v1${path}`, options);
    const { statusCode } = response;
    const answer = await this.#textOf(response);
    if (statusCode === 204) return undefined as T;
    try {
      return JSON.parse(answer) as T;
    } catch (cause) {
      throw this.#unreachable('what answers there is not csbm', `HTTP ${statusCode} without JSON`, cause);
    }
  }

  async metrics(): Promise<string> {
    return this.#textOf(await this.#send('GET', '/metrics', {}));
  }

  /**
   * The lines of a streamed answer, parsed, as they come; empty ones, which come every 15 s, are left out.
   * @param silence after so long without any the service is taken for gone: a connection may hang and not break
   */
  async *lines(path: string, signal: AbortSignal, silence: Duration = seconds(60)): AsyncGenerator {
    const gone = new AbortController();
    const timer = setTimeout(() => gone.abort(new Error(`nothing came for ${silence / 1_000} s`)), silence);
    let rest = '';
    try {
      const response = await this.#send('GET', `/api/v1${path}`, {
        signal: AbortSignal.any([signal, gone.signal]),
      });
      for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
        timer.refresh();
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) if (line !== '') yield JSON.parse(line);
      }
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      if (gone.signal.aborted)
        throw this.#unreachable('the service does not answer', reasonOf(gone.signal.reason), cause);
      if (cause instanceof CodedError) throw cause;
      throw this.#unreachable('the service broke off', reasonOf(cause), cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The error of an answer that is none of 2xx. */
  refusal(status: number, body: string): CodedError {
    const error = errorOf(body);
    if (!error) return this.#unreachable('what answers there is not csbm', `HTTP ${status}`);
    const { problems, ...parts } = error;
    return new RefusedError(parts, problems);
  }

  unreachable(cause: unknown): ServiceError {
    if (isUntrusted(cause))
      return new ServiceError({
        code: 'service.untrusted',
        what: 'the certificate of the service is not trusted',
        where: this.url,
        said: reasonOf(cause),
        cause,
      });
    return this.#unreachable('the service does not answer', reasonOf(cause), cause);
  }

  async #send(method: string, path: string, { body, text, signal }: CallOptions): Promise<IncomingMessage> {
    refuseOtherAddress(path);
    const payload = text ?? (body === undefined ? undefined : JSON.stringify(body));
    let response: IncomingMessage;
    try {
      response = await sendRequest(new URL(`${this.url}${path}`), this.trust, {
        method,
        headers: {
          authorization: this.authorization,
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(text !== undefined && { 'content-type': 'text/plain; charset=utf-8' }),
          ...(payload !== undefined && { 'content-length': Buffer.byteLength(payload) }),
        },
        ...(payload !== undefined && { body: payload }),
        signal,
      });
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw this.unreachable(cause);
    }
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw this.refusal(status, await this.#textOf(response));
  }

  async #textOf(response: IncomingMessage): Promise<string> {
    try {
      return await textOf(response);
    } catch (cause) {
      throw this.unreachable(cause);
    }
  }

  #unreachable(what: string, said: string, cause?: unknown): ServiceError {
    return new ServiceError({ code: 'service.unreachable', what, where: this.url, said, cause });
  }
}

/** A name that is empty, as from a variable that is not set, or is one of the dots that URLs resolve, would make another address. */
function refuseOtherAddress(path: string): void {
  const parts = path.split('?', 1)[0]!.split('/').slice(1);
  if (!parts.some((part) => part === '' || part === '.' || part === '..')) return;
  throw new ServiceError({
    code: 'cli.usage',
    what: 'a name is empty, or consists of dots',
    remedy: 'say the name of what is meant; the verb with list shows what there is',
  });
}

function errorOf(body: string): (ErrorParts & { readonly problems?: JsonValue }) | null {
  try {
    const document = JSON.parse(body) as {
      readonly error?: Partial<ErrorParts> & { readonly problems?: JsonValue };
    } | null;
    const { code, retry, what, where, said, remedy, problems } = document?.error ?? {};
    if (code === undefined || retry === undefined || what === undefined) return null;
    return { code, retry, what, where, said, remedy, ...(problems !== undefined && { problems }) };
  } catch {
    return null;
  }
}

/** The innermost reason: fetch wraps what the socket said. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown.cause !== undefined) return reasonOf(thrown.cause);
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
  return thrown.message.includes(code) ? thrown.message : `${thrown.message} (${code})`;
}
