import type { JsonValue } from '../../plugin-api/index.ts';
import { CodedError, type ErrorParts } from '../../plugin-api/index.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Target } from './credentials.ts';

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

  get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  /** `path` begins with `/` and is below `/api/v1`; what the service answers is trusted to be of the asked-for shape. */
  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.#send(method, `/api/v1${path}`, options);
    if (response.status === 204) return undefined as T;
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw this.#unreachable(
        'what answers there is not csbm',
        `HTTP ${response.status} without JSON`,
        cause,
      );
    }
  }

  async metrics(): Promise<string> {
    return (await this.#send('GET', '/metrics', {})).text();
  }

  /** The lines of a streamed answer, parsed, as they come; empty ones are left out. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator {
    const response = await this.#send('GET', `/api/v1${path}`, { signal });
    let rest = '';
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) if (line !== '') yield JSON.parse(line);
      }
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw this.#unreachable('the service broke off', reasonOf(cause), cause);
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
    return this.#unreachable('the service does not answer', reasonOf(cause), cause);
  }

  async #send(method: string, path: string, { body, text, signal }: CallOptions): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${this.url}${path}`, {
        method,
        redirect: 'error',
        headers: {
          authorization: this.authorization,
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(text !== undefined && { 'content-type': 'text/plain; charset=utf-8' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(text !== undefined && { body: text }),
        ...(signal && { signal }),
      });
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw this.unreachable(cause);
    }
    if (response.ok) return response;
    throw this.refusal(response.status, await response.text());
  }

  #unreachable(what: string, said: string, cause?: unknown): ServiceError {
    return new ServiceError({ code: 'service.unreachable', what, where: this.url, said, cause });
  }
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
