import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { DeviceContext } from '../../../../plugin-api/index.ts';

export type DatagramHandler = (bytes: Buffer) => void;

/** Enough for some thousand answers that arrive in one burst; the kernel may give less. */
const receiveBufferBytes = 1 << 20;

/** One UDP socket per address family, shared by all BMCs; answers find their BMC by the address they come from. */
export class DatagramHub {
  readonly #context: DeviceContext;
  readonly #sockets = new Map<'udp4' | 'udp6', Promise<Socket>>();
  /** The sockets that are bound, so that a datagram need not wait for a promise. */
  readonly #bound: { udp4?: Socket; udp6?: Socket } = {};
  /** By address, then by port. */
  readonly #handlers = new Map<string, Map<number, Set<DatagramHandler>>>();
  readonly #closing: AbortSignal;
  readonly #whenClosing = new Set<() => void>();
  #closed = false;

  /** `closing` is aborted when the driver closes. */
  constructor(context: DeviceContext, closing: AbortSignal) {
    this.#context = context;
    this.#closing = closing;
    closing.addEventListener('abort', () => {
      for (const abort of [...this.#whenClosing]) abort();
    });
  }

  /** Calls `handler` for each datagram from there; the returned function ends that. */
  listen(address: string, port: number, handler: DatagramHandler): () => void {
    const ports = this.#handlers.get(address) ?? new Map<number, Set<DatagramHandler>>();
    this.#handlers.set(address, ports);
    const handlers = ports.get(port) ?? new Set();
    ports.set(port, handlers.add(handler));
    return () => {
      handlers.delete(handler);
      if (handlers.size === 0 && ports.get(port) === handlers) ports.delete(port);
      if (ports.size === 0 && this.#handlers.get(address) === ports) this.#handlers.delete(address);
    };
  }

  /**
   * Calls `abort` when the signal is aborted; the returned function ends that. Thousands wait for the closing of the driver,
   * which as listeners of one signal would cost each other time.
   */
  onAbort(signal: AbortSignal, abort: () => void): () => void {
    if (signal !== this.#closing) {
      signal.addEventListener('abort', abort);
      return () => signal.removeEventListener('abort', abort);
    }
    this.#whenClosing.add(abort);
    return () => this.#whenClosing.delete(abort);
  }

  /** Hands the datagram to the kernel; `failed` hears why that was not possible (no route, ...). */
  send(bytes: Buffer, address: string, port: number, failed: (error: Error) => void): void {
    const family = isIPv6(address) ? 'udp6' : 'udp4';
    const done = (error: Error | null): void => {
      if (error) failed(error);
    };
    const bound = this.#bound[family];
    if (bound) bound.send(bytes, port, address, done);
    else this.#socket(family).then((socket) => socket.send(bytes, port, address, done), failed);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
    delete this.#bound.udp4;
    delete this.#bound.udp6;
    await Promise.all(
      sockets.map(async (opening) => {
        const socket = await opening;
        await new Promise<void>((resolve) => socket.close(() => resolve()));
      }),
    );
  }

  #socket(family: 'udp4' | 'udp6'): Promise<Socket> {
    const known = this.#sockets.get(family);
    if (known) return known;
    if (this.#closed) return Promise.reject(new Error('the IPMI driver is closed'));
    const opening = this.#bind(family);
    this.#sockets.set(family, opening);
    // A failed bind must not be remembered for ever; its waiters see the failure themselves.
    opening.catch(() => this.#sockets.delete(family));
    return opening;
  }

  #bind(family: 'udp4' | 'udp6'): Promise<Socket> {
    // Addresses are resolved before they come here: an own lookup spares one thread pool trip per datagram.
    const socket = createSocket({
      type: family,
      lookup: (hostname, _options, done) => done(null, hostname, family === 'udp6' ? 6 : 4),
    });
    socket.on('message', (bytes, from) => {
      for (const handler of this.#handlers.get(from.address)?.get(from.port) ?? []) handler(bytes);
    });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, () => {
        socket.off('error', reject);
        socket.on('error', (error) =>
          this.#context.log('warn', 'IPMI socket', { error: error.message, family }),
        );
        try {
          socket.setRecvBufferSize(receiveBufferBytes);
        } catch {
          // A small buffer only means more retransmissions.
        }
        if (!this.#closed) this.#bound[family] = socket;
        resolve(socket);
      });
    });
  }
}
