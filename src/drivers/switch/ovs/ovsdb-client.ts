import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import { DeviceError, type Clock, type Duration } from '../../../../plugin-api/index.ts';
import { Deferred } from '../../../kernel/concurrency/deferred.ts';
import { withDeadline } from '../../../kernel/concurrency/deadline.ts';
import { JsonSplitter } from './json-splitter.ts';

/** One operation of a transaction (RFC 7047 section 5.2). */
export type Operation = { readonly op: string } & Readonly<Record<string, unknown>>;

export interface Patience {
  readonly timeout: Duration;
  readonly signal?: AbortSignal | undefined;
}

/** The database whose schema is that of Open vSwitch (ovs-vswitchd.conf.db(5)). */
const database = 'Open_vSwitch';

const message = z.object({
  id: z.unknown().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
  error: z.unknown().optional(),
});
const failed = z.object({ error: z.string(), details: z.string().optional() });

/** The Open vSwitch database management protocol (RFC 7047): JSON-RPC 1.0 over a stream. */
export class OvsdbClient {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #where: string;
  readonly #splitter = new JsonSplitter();
  readonly #decoder = new StringDecoder('utf8');
  readonly #pending = new Map<number, Deferred<unknown>>();
  #lastId = 0;
  #ended: DeviceError | null = null;

  /** @param socket connected, with an error listener */
  constructor(socket: Socket, clock: Clock, where: string) {
    this.#socket = socket;
    this.#clock = clock;
    this.#where = where;
    let broke: NodeJS.ErrnoException | undefined;
    socket.on('error', (error) => (broke = error));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A half-open end is of no use: no answer can come any more.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#end(this.#lost(broke)));
  }

  /** The names of the databases that the server has. */
  async databases(patience: Patience): Promise<readonly string[]> {
    const names = z.array(z.string()).safeParse(await this.#call('list_dbs', [], patience));
    if (names.success) return names.data;
    throw this.#protocol('list_dbs was answered with something else than names');
  }

  /**
   * Runs the operations as one transaction: all or none.
   * @returns one result for each operation
   * @throws TransactionError when the server refuses an operation; DeviceError `switch.session-lost`, `switch.timeout`, `switch.protocol`
   */
  async transact(operations: readonly Operation[], patience: Patience): Promise<readonly unknown[]> {
    const results = await this.#call('transact', [database, ...operations], patience);
    if (!Array.isArray(results)) throw this.#protocol('a transaction was not answered with a list');
    // A failure at the commit stands behind the results of all operations.
    const index = results.findIndex((result) => failed.safeParse(result).success);
    if (index >= 0) {
      const { error, details } = failed.parse(results[index]);
      throw new TransactionError(operations[index] ?? null, error, details);
    }
    if (results.length !== operations.length) throw this.#protocol('a transaction was answered in part');
    return results as unknown[];
  }

  /** Cuts the connection. What is under way fails. */
  async close(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.destroy();
    await closed;
  }

  async #call(method: string, params: readonly unknown[], { timeout, signal }: Patience): Promise<unknown> {
    const id = (this.#lastId += 1);
    const timedOut = (): Error =>
      new DeviceError({
        code: 'switch.timeout',
        what: `the database server did not answer "${method}" in time`,
        where: this.#where,
      });
    try {
      return await withDeadline(
        this.#clock,
        timeout,
        timedOut,
        (inner) => {
          inner.throwIfAborted();
          if (this.#ended) throw this.#ended;
          const answer = new Deferred<unknown>();
          this.#pending.set(id, answer);
          inner.addEventListener('abort', () => answer.reject(inner.reason as Error), { once: true });
          this.#socket.write(JSON.stringify({ method, params, id }));
          return answer.promise;
        },
        signal,
      );
    } finally {
      this.#pending.delete(id);
    }
  }

  #receive(chunk: Buffer): void {
    try {
      for (const text of this.#splitter.push(this.#decoder.write(chunk))) this.#take(text);
    } catch (error) {
      this.#end(this.#protocol('the database server does not speak JSON-RPC', error as Error));
      this.#socket.destroy();
    }
  }

  #take(text: string): void {
    const { id, method, params, result, error } = message.parse(JSON.parse(text));
    if (method !== undefined) {
      // The server asks every few seconds whether we live, and hangs up on whoever does not answer.
      if (method === 'echo') this.#socket.write(JSON.stringify({ id, result: params, error: null }));
      return;
    }
    const answer = typeof id === 'number' ? this.#pending.get(id) : undefined;
    if (error === null || error === undefined) answer?.resolve(result);
    else answer?.reject(this.#refused(JSON.stringify(error)));
  }

  #end(error: DeviceError): void {
    this.#ended ??= error;
    for (const answer of this.#pending.values()) answer.reject(this.#ended);
    this.#pending.clear();
  }

  #lost(broke: NodeJS.ErrnoException | undefined): DeviceError {
    const parts = { where: this.#where, said: broke?.message, cause: broke };
    // In TLS 1.3 the server looks at our certificate only when we take the session for granted.
    return broke?.code?.startsWith('ERR_SSL') === true
      ? new DeviceError({
          ...parts,
          code: 'switch.auth',
          what: 'the switch refused the TLS session',
          remedy: 'set certificateFile and privateKeyFile to what the switch trusts',
        })
      : new DeviceError({
          ...parts,
          code: 'switch.session-lost',
          what: 'the database server ended the connection',
        });
  }

  #refused(said: string): DeviceError {
    return new DeviceError({
      code: 'switch.refused',
      what: 'the database server refused a request',
      where: this.#where,
      said,
    });
  }

  #protocol(what: string, cause?: Error): DeviceError {
    return new DeviceError({
      code: 'switch.protocol',
      what,
      where: this.#where,
      cause,
      remedy: 'check that the rack config names the database server of Open vSwitch (ovsdb-server)',
    });
  }
}

/** The server refused one operation, and with it the whole transaction. */
export class TransactionError extends Error {
  /** What was refused; null when it was the commit. */
  readonly operation: Operation | null;
  /** The server's word for it, such as `timed out` or `constraint violation`. */
  readonly error: string;

  constructor(operation: Operation | null, error: string, details: string | undefined) {
    super(details === undefined ? error : `${error}: ${details}`);
    this.name = 'TransactionError';
    this.operation = operation;
    this.error = error;
  }
}
