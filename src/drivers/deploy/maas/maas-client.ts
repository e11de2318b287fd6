import { randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { z } from 'zod';
import { milliseconds, seconds, Secret, type Clock, type Duration } from '../../../../plugin-api/index.ts';
import { withDeadline } from '../../../kernel/concurrency/deadline.ts';
import { authorizationHeader } from '../../../wire/oauth/sign.ts';
import { answerText } from './answer-text.ts';
import { MaasError } from './maas-error.ts';
import type { MaasSettings } from './maas-settings.ts';

export type FieldValue = string | number | boolean | Secret;
/** Fields of a form or a query; a list is the same name again and again. */
export type Fields = readonly (readonly [name: string, value: FieldValue])[];

export interface MaasRequest<S extends z.ZodType> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/api/2.0/`, with the slash at its end: `machines/abc123/`. */
  readonly path: string;
  readonly op?: string;
  /** Of a GET the query, otherwise the body. */
  readonly fields?: Fields;
  readonly shape: S;
  /** For errors: `deploy machine abc123`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

type ClientSettings = Pick<
  MaasSettings,
  'url' | 'key' | 'caPem' | 'requestTimeout' | 'retries' | 'retryDelay' | 'maxRetryAfter'
>;

interface Answer {
  readonly status: number;
  readonly contentType: string;
  /** Null where MAAS named no wait, or a wait that is no number of seconds. */
  readonly retryAfter: Duration | null;
  readonly text: string;
}

/** Longest answer that is read. A machine has some 60 KB; the power parameters of ten thousand machines have 4 MB. */
const maxAnswerBytes = 32 * 1024 * 1024;
/** Answers after which a call that only reads is worth another try. */
const passing: readonly number[] = [500, 502, 503, 504];

/**
 * The API of an upstream MAAS (2.0). Calls are made in the way that every MAAS takes: PLAINTEXT OAuth with a new nonce and time
 * for each attempt, urlencoded bodies, `op` in the query, slashes at the end, lists as repeated names.
 */
export class MaasClient {
  readonly #settings: ClientSettings;
  readonly #clock: Clock;
  readonly #mayChange: () => void;

  /** @param mayChange see `DeviceContext` */
  constructor(settings: ClientSettings, clock: Clock, mayChange: () => void = () => undefined) {
    this.#settings = settings;
    this.#clock = clock;
    this.#mayChange = mayChange;
  }

  /** Where it is, for errors and people. */
  get where(): string {
    return `MAAS ${new URL(this.#settings.url).host}`;
  }

  /**
   * One call. It is repeated where MAAS asks for that with `Retry-After` (it then did nothing); a GET also after an error of the
   * server or of the way there. Of other calls that broke the outcome is unknown: the caller reads before it repeats.
   * @throws MaasError `maas.unreachable`, `maas.busy`, `maas.credentials`, `maas.state` (409), `maas.refused`, `maas.answer`
   */
  async call<S extends z.ZodType>(request: MaasRequest<S>): Promise<z.output<S>> {
    const { retries, retryDelay, maxRetryAfter } = this.#settings;
    const reads = request.method === 'GET';
    for (let attempt = 0; ; attempt += 1) {
      const backOff = milliseconds(retryDelay * 2 ** attempt);
      let answer: Answer;
      try {
        answer = await this.#attempt(request);
      } catch (thrown) {
        if (!reads || attempt >= retries || !(thrown instanceof MaasError)) throw thrown;
        await this.#clock.sleep(backOff, request.signal);
        continue;
      }
      if (answer.status >= 200 && answer.status < 300) return this.#shaped(request, answer);
      const asked = answer.status === 503 || answer.status === 409 || answer.status === 429;
      const wait =
        asked && answer.retryAfter !== null && answer.retryAfter <= maxRetryAfter
          ? answer.retryAfter
          : reads && passing.includes(answer.status)
            ? backOff
            : null;
      if (wait === null || attempt >= retries) throw this.#refusal(request, answer);
      await this.#clock.sleep(wait, request.signal);
    }
  }

  #attempt<S extends z.ZodType>(request: MaasRequest<S>): Promise<Answer> {
    const { requestTimeout } = this.#settings;
    return withDeadline(
      this.#clock,
      requestTimeout,
      () => this.#unreachable(request, 'no answer in time'),
      (signal) => this.#send(request, signal),
      request.signal,
    );
  }

  #send<S extends z.ZodType>(request: MaasRequest<S>, signal: AbortSignal): Promise<Answer> {
    const { url: root, key, caPem } = this.#settings;
    const { method, path, op, fields = [] } = request;
    const form = new URLSearchParams(
      fields.map(([name, value]): [string, string] => [
        name,
        value instanceof Secret ? value.reveal() : String(value),
      ]),
    );
    const query = new URLSearchParams(op === undefined ? [] : [['op', op]]);
    if (method === 'GET') for (const [name, value] of form) query.append(name, value);
    const url = `${root}/api/2.0/${path}${query.size > 0 ? `?${query.toString()}` : ''}`;
    const body = method === 'GET' || method === 'DELETE' ? null : form.toString();
    const client = url.startsWith('https:') ? https : http;
    if (method !== 'GET') this.#mayChange();
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(
          signal.aborted ? (signal.reason as Error) : this.#unreachable(request, reasonOf(cause), cause),
        );
      const sent = client.request(
        url,
        {
          method,
          // One connection per call: an idle one may be cut just when a deploy is sent over it.
          agent: false,
          headers: {
            authorization: authorizationHeader({
              key,
              method,
              url,
              signatureMethod: 'PLAINTEXT',
              timestamp: Math.floor(this.#clock.now() / 1_000),
              nonce: randomBytes(16).toString('hex'),
            }),
            accept: 'application/json',
            ...(body !== null && {
              'content-type': 'application/x-www-form-urlencoded',
              'content-length': Buffer.byteLength(body),
            }),
          },
          ...(caPem !== undefined && { ca: caPem }),
          signal,
        },
        (response) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > maxAnswerBytes) {
              fail(new Error(`the answer is longer than ${maxAnswerBytes} bytes`));
              response.destroy();
            } else chunks.push(chunk);
          });
          response.on('error', fail);
          // A body that breaks off has no end.
          response.on('aborted', () => fail(new Error('the answer broke off')));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              contentType: response.headers['content-type'] ?? '',
              retryAfter: retryAfterOf(response.headers['retry-after']),
              text: Buffer.concat(chunks).toString('utf8'),
            }),
          );
        },
      );
      sent.on('error', fail);
      sent.end(body ?? undefined);
    });
  }

  #shaped<S extends z.ZodType>(request: MaasRequest<S>, answer: Answer): z.output<S> {
    let value: unknown;
    try {
      value = answer.text === '' ? null : JSON.parse(answer.text);
    } catch {
      value = answer.text;
    }
    const result = request.shape.safeParse(value);
    if (result.success) return result.data;
    // The paths say enough; the values may be anything.
    const paths = result.error.issues
      .slice(0, 5)
      .map(({ path }) => path.join('.') || 'the answer')
      .join(', ');
    throw new MaasError({
      code: 'maas.answer',
      where: this.where,
      what: `${request.what}: these are not as MAAS writes them: ${paths}`,
      ...(typeof value === 'string' && { said: this.#text(request, answer) }),
      status: answer.status,
      outcomeUnknown: request.method !== 'GET',
    });
  }

  #refusal<S extends z.ZodType>(request: MaasRequest<S>, answer: Answer): MaasError {
    const { status, retryAfter } = answer;
    const parts = { where: this.where, said: this.#text(request, answer) || `HTTP ${status}`, status };
    if (status === 401)
      return new MaasError({
        ...parts,
        code: 'maas.credentials',
        what: `${request.what}: the API key is refused`,
      });
    if (status === 403)
      return new MaasError({
        ...parts,
        code: 'maas.credentials',
        what: `${request.what}: the user of the API key may not do that`,
      });
    if (status === 409 && retryAfter === null)
      return new MaasError({ ...parts, code: 'maas.state', what: `${request.what}: not in this state` });
    if (status === 409 || status === 429 || status === 503)
      return new MaasError({
        ...parts,
        code: 'maas.busy',
        what: `${request.what}: MAAS cannot do it now`,
        // Whoever says when to come again did nothing; a bare 503 may come from a proxy that gave up waiting.
        outcomeUnknown: request.method !== 'GET' && retryAfter === null,
      });
    if (status >= 500)
      return new MaasError({
        ...parts,
        code: 'maas.unreachable',
        what: `${request.what}: MAAS failed with HTTP ${status}`,
        outcomeUnknown: request.method !== 'GET',
      });
    if (status < 400)
      return new MaasError({
        ...parts,
        code: 'maas.answer',
        what: `${request.what}: HTTP ${status} instead of an answer`,
      });
    return new MaasError({
      ...parts,
      code: 'maas.refused',
      what: `${request.what}: refused with HTTP ${status}`,
    });
  }

  #text<S extends z.ZodType>({ fields = [] }: MaasRequest<S>, { contentType, text }: Answer): string {
    const secrets = fields.flatMap(([, value]) => (value instanceof Secret ? [value.reveal()] : []));
    return answerText(contentType, text, [this.#settings.key.tokenSecret.reveal(), ...secrets]);
  }

  #unreachable<S extends z.ZodType>(request: MaasRequest<S>, said: string, cause?: unknown): MaasError {
    return new MaasError({
      code: 'maas.unreachable',
      where: this.where,
      what: `${request.what}: no answer`,
      said,
      cause,
      status: null,
      outcomeUnknown: request.method !== 'GET',
    });
  }
}

function retryAfterOf(header: string | undefined): Duration | null {
  return header !== undefined && /^\d{1,6}$/.test(header.trim()) ? seconds(Number(header)) : null;
}

function reasonOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return error.message.includes(code) ? error.message : `${error.message} (${code})`;
}
