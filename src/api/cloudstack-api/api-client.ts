import http from 'node:http';
import https from 'node:https';
import { milliseconds, minutes, seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import type { z } from 'zod';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import {
  apiError,
  apiErrorCode,
  jobResponse,
  queryAsyncJobResultResponse,
  unwrapped,
  type ApiError,
} from '../../wire/cloudstack-api/response.ts';
import { signedForm, type ApiKeys } from '../../wire/cloudstack-api/signed-form.ts';

export interface ApiSettings {
  /** One request, from connecting to the last byte of the answer. */
  readonly requestTimeout: Duration;
  /** One asynchronous job, from its acceptance to its end. */
  readonly jobTimeout: Duration;
  /** Between two looks at a job. */
  readonly jobPoll: Duration;
  /** How long a signature holds: as short as the clocks of both ends allow. Servers refuse more than 15 minutes. */
  readonly signatureLife: Duration;
}

export const defaultApiSettings: ApiSettings = {
  requestTimeout: seconds(30),
  jobTimeout: seconds(90),
  jobPoll: seconds(1),
  signatureLife: minutes(10),
};

export interface ApiEndpoint extends ApiKeys {
  /** For example `https://cloudstack.example.org/client/api`. */
  readonly url: string;
  /** PEM of who signed the server's certificate; absent = the system's authorities. */
  readonly caPem?: string | undefined;
}

/** Longest answer that is read: 500 instances of a page take about one megabyte in full detail. */
const maxAnswerBytes = 32 * 1024 * 1024;

/** An answer that is none: the API's own error. */
export class ApiRefusal extends ServiceError {
  readonly api: ApiError;

  constructor(api: ApiError, parts: ConstructorParameters<typeof ServiceError>[0]) {
    super(parts);
    this.api = api;
  }
}

/** CloudStack's HTTP API from outside, as one user of it. Requests are POSTs, so neither keys nor signatures are in a URL. */
export class ApiClient {
  readonly #endpoint: ApiEndpoint;
  readonly #settings: ApiSettings;
  readonly #clock: Clock;

  constructor(endpoint: ApiEndpoint, clock: Clock, settings: Partial<ApiSettings> = {}) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#settings = { ...defaultApiSettings, ...settings };
  }

  /** Where it is, for errors and people. */
  get where(): string {
    const { host, pathname } = new URL(this.#endpoint.url);
    return `CloudStack API ${host}${pathname}`;
  }

  /** The key that names the user; not a secret by itself, but never shown. */
  get keys(): ApiKeys {
    return this.#endpoint;
  }

  /**
   * One synchronous command.
   * @throws ServiceError `cloudstack.unreachable`, `cloudstack.credentials`, `cloudstack.refused` (an {@link ApiRefusal}),
   *   `cloudstack.answer`; the signal's reason when aborted
   */
  async call<S extends z.ZodType>(
    command: string,
    parameters: Readonly<Record<string, string>>,
    shape: S,
    signal?: AbortSignal,
  ): Promise<z.output<S>> {
    const { requestTimeout, signatureLife } = this.#settings;
    const expires = new Date(this.#clock.now() + signatureLife);
    const form = signedForm(command, parameters, this.#endpoint, expires);
    const answer = await withDeadline(
      this.#clock,
      requestTimeout,
      () => this.#unreachable(command, 'no answer in time'),
      (inner) => this.#post(command, form, inner),
      signal,
    );
    return this.#read(command, answer, shape);
  }

  /** One asynchronous command, waited for to its end. @throws as {@link call} */
  async job<S extends z.ZodType>(
    command: string,
    parameters: Readonly<Record<string, string>>,
    shape: S,
    signal?: AbortSignal,
  ): Promise<z.output<S>> {
    const { jobTimeout, jobPoll } = this.#settings;
    const { jobid } = await this.call(command, parameters, jobResponse, signal);
    return withDeadline(
      this.#clock,
      jobTimeout,
      () => this.#unreachable(command, `its job ${jobid} did not end in time`),
      async (inner) => {
        for (;;) {
          const job = await this.call('queryAsyncJobResult', { jobid }, queryAsyncJobResultResponse, inner);
          if (job.jobstatus === 1) return this.#shaped(command, job.jobresult, shape);
          if (job.jobstatus !== 0) throw this.#refusal(command, 200, job.jobresult);
          await this.#clock.sleep(milliseconds(jobPoll), inner);
        }
      },
      signal,
    );
  }

  #read<S extends z.ZodType>(
    command: string,
    answer: { readonly status: number; readonly text: string },
    shape: S,
  ): z.output<S> {
    let value: unknown;
    try {
      value = unwrapped(answer.text);
    } catch (cause) {
      throw this.#answerError(command, `HTTP ${answer.status}, and not what the API says`, cause);
    }
    if (answer.status !== 200 || apiError.safeParse(value).success)
      throw this.#refusal(command, answer.status, value);
    return this.#shaped(command, value, shape);
  }

  #shaped<S extends z.ZodType>(command: string, value: unknown, shape: S): z.output<S> {
    const result = shape.safeParse(value);
    if (result.success) return result.data;
    // The paths say enough; the values may be anything.
    const paths = result.error.issues.map(({ path }) => path.join('.') || 'the answer').join(', ');
    throw this.#answerError(command, `these are not as expected: ${paths}`);
  }

  #refusal(command: string, status: number, value: unknown): ServiceError {
    const parsed = apiError.safeParse(value);
    if (!parsed.success) return this.#answerError(command, `HTTP ${status} without a reason`);
    const api = parsed.data;
    const unauthorized = api.errorcode === apiErrorCode.unauthorized;
    return new ApiRefusal(api, {
      code: unauthorized ? 'cloudstack.credentials' : 'cloudstack.refused',
      ...(api.errorcode === apiErrorCode.tooManyRequests && { retry: 'later' }),
      where: this.where,
      what: unauthorized ? `${command} is not allowed with these keys` : `${command} was refused`,
      said: `${api.errortext} (${api.errorcode})`,
    });
  }

  #post(
    command: string,
    form: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const { url, caPem } = this.#endpoint;
    const client = url.startsWith('https:') ? https : http;
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(
          signal.aborted ? (signal.reason as Error) : this.#unreachable(command, reasonOf(cause), cause),
        );
      const request = client.request(
        url,
        {
          method: 'POST',
          // One connection per request: these are rare, and an idle one may be cut just when it is used again.
          agent: false,
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            'content-length': Buffer.byteLength(form),
            accept: 'application/json',
          },
          ...(caPem !== undefined && { ca: caPem }),
          signal,
        },
        (response) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > maxAnswerBytes)
              response.destroy(new Error(`the answer is longer than ${maxAnswerBytes} bytes`));
            else chunks.push(chunk);
          });
          response.on('error', fail);
          // A body that breaks off has no end.
          response.on('aborted', () => fail(new Error('the answer broke off')));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
          );
        },
      );
      request.on('error', fail);
      request.end(form);
    });
  }

  #unreachable(command: string, said: string, cause?: unknown): ServiceError {
    const what = `${command} got no answer`;
    return new ServiceError({ code: 'cloudstack.unreachable', where: this.where, what, said, cause });
  }

  #answerError(command: string, what: string, cause?: unknown): ServiceError {
    return new ServiceError({
      code: 'cloudstack.answer',
      where: this.where,
      what: `${command}: ${what}`,
      cause,
    });
  }
}

function reasonOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return error.message.includes(code) ? error.message : `${error.message} (${code})`;
}
