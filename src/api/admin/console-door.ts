import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { once } from 'node:events';
import { seconds, type BmcConsole, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { askerOf, type Principal } from '../../core/access/principal.ts';
import type { Machine } from '../../core/machine/machine.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Access } from '../../operations/access.ts';
import type { Machines } from '../../operations/machines.ts';
import type { PowerService } from '../../operations/power/power-service.ts';
import { ConsoleFrameReader, consoleProtocol, encodeConsoleFrame } from '../../wire/console/console-frame.ts';
import { httpStatus } from './http-status.ts';
import { authenticate, door } from './mount.ts';

export interface ConsoleDoorOptions {
  readonly access: Access;
  readonly machines: Machines;
  readonly power: Pick<PowerService, 'console'>;
  readonly clock: Clock;
  readonly log: Log;
  /** How often it is looked whether who sits at a console may still do so (default 30 s). */
  readonly lookEvery?: Duration;
}

const path = /^\/api\/v1\/machines\/([^/?]+)\/console(?:\?(.*))?$/;
/** Probes that keep the connection in the memory of firewalls, in milliseconds. */
const keepAlive = 30_000;
const usualLook = seconds(30);
/** What a look may find that ends a console; that the database is away does not. */
const ending: ReadonlySet<string> = new Set([
  'request.unauthenticated',
  'request.forbidden',
  'access.scope',
  'machine.unknown',
]);

/**
 * Serial consoles over the admin API: `GET machines/{name}/console` with `Upgrade: csbm-console/1` becomes a connection of
 * console frames. `?takeOver=1` ends somebody else's console.
 */
export class ConsoleDoor {
  readonly #options: ConsoleDoorOptions;
  readonly #open = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: ConsoleDoorOptions) {
    this.#options = options;
  }

  /** Serves the upgrades of this server. */
  attach(server: Server): void {
    server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      const serving = this.#serve(req, socket, head).catch((thrown: unknown) => refuse(socket, thrown));
      this.#open.add(serving);
      void serving.finally(() => this.#open.delete(serving));
    });
  }

  /** Ends every console. */
  async close(): Promise<void> {
    this.#closing.abort(new ServiceError({ code: 'service.unreachable', what: 'the service stops' }));
    await Promise.all(this.#open);
  }

  async #serve(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { power, log } = this.#options;
    const left = new AbortController();
    const leave = (): void => left.abort(new Error('the client went away'));
    const stop = (): void => left.abort(this.#closing.signal.reason);
    socket.on('error', leave).once('close', leave);
    this.#closing.signal.addEventListener('abort', stop, { once: true });
    try {
      this.#closing.signal.throwIfAborted();
      const { principal, machine, takeOver } = await this.#admit(req);
      const console = await power.console(machine, { takeOver }, left.signal);
      log.info({ by: principal.name, door, machine: machine.hostname, takeOver }, 'console opened');
      void this.#lookAgain(req, left);
      try {
        await this.#carry(console, socket, head, left.signal);
      } finally {
        await console.close();
        log.info({ by: principal.name, door, machine: machine.hostname }, 'console closed');
      }
    } finally {
      this.#closing.signal.removeEventListener('abort', stop);
      leave();
    }
  }

  /** @throws ServiceError for who may not have this console */
  async #admit(
    req: IncomingMessage,
  ): Promise<{ readonly principal: Principal; readonly machine: Machine; readonly takeOver: boolean }> {
    const { access, machines } = this.#options;
    const principal = await authenticate(access, req);
    const asked = path.exec(req.url ?? '');
    if (!asked || req.headers.upgrade?.toLowerCase() !== consoleProtocol)
      throw new ServiceError({ code: 'request.not-found', what: 'there is no such console' });
    const asker = askerOf(principal, door, 'console');
    const machine = await machines.commanded(asker, 'machine.console', decodeName(asked[1]!));
    return { principal, machine, takeOver: new URLSearchParams(asked[2]).get('takeOver') === '1' };
  }

  /** A console is open for hours: a token that is revoked or expires meanwhile must not go on typing. */
  async #lookAgain(req: IncomingMessage, left: AbortController): Promise<void> {
    const { clock, lookEvery = usualLook } = this.#options;
    const pause = (): Promise<boolean> =>
      clock.sleep(lookEvery, left.signal).then(
        () => true,
        () => false,
      );
    while (await pause())
      await this.#admit(req).catch((thrown: unknown) => {
        const error = asCodedError(thrown);
        if (ending.has(error.code)) left.abort(error);
      });
  }

  async #carry(console: BmcConsole, socket: Duplex, head: Buffer, left: AbortSignal): Promise<void> {
    if ('setTimeout' in socket) (socket as Duplex & { setTimeout(time: number): void }).setTimeout(0);
    if ('setKeepAlive' in socket)
      (socket as Duplex & { setKeepAlive(on: boolean, after: number): void }).setKeepAlive(true, keepAlive);
    socket.write(
      `HTTP/1.1 101 ${STATUS_CODES[101]}\r\nUpgrade: ${consoleProtocol}\r\nConnection: Upgrade\r\n\r\n`,
    );
    if (head.length > 0) socket.unshift(head);
    const typing = type(console, socket).finally(() => console.close());
    // A failure there ends the console, and is told when its output has ended.
    typing.catch(() => undefined);
    left.addEventListener('abort', () => void console.close().catch(() => undefined), { once: true });
    if (left.aborted) await console.close();
    try {
      for await (const bytes of console.output)
        if (!socket.write(encodeConsoleFrame({ type: 'characters', bytes })))
          await once(socket, 'drain', { signal: left });
      left.throwIfAborted();
      await typing;
      socket.end(() => socket.destroy());
    } catch (thrown) {
      const text = JSON.stringify(asCodedError(left.aborted ? left.reason : thrown).toJSON());
      // What is still being typed would else cut the connection before this is read.
      socket.resume();
      socket.end(encodeConsoleFrame({ type: 'error', text }), () => socket.destroy());
    }
    await typing.catch(() => undefined);
  }
}

/** What the client types, until it has no more to say. A failure leaves the connection open, so that it can be told. */
async function type(console: BmcConsole, socket: Duplex): Promise<void> {
  const reader = new ConsoleFrameReader();
  const typed = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of typed)
    for (const frame of reader.read(chunk)) {
      if (frame.type === 'characters') await console.write(frame.bytes);
      else if (frame.type === 'break') await console.sendBreak();
    }
}

function decodeName(text: string): Machine['hostname'] {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ServiceError({ code: 'request.not-found', what: 'there is no such console' });
  }
}

function refuse(socket: Duplex, thrown: unknown): void {
  const error = asCodedError(thrown);
  const status = httpStatus(error);
  const body = JSON.stringify({ error: { ...error.toJSON(), message: error.message } });
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
    // The client's half stays open otherwise, for as long as it likes.
    () => socket.destroy(),
  );
}
