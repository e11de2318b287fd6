import { createSocket, type Socket } from 'node:dgram';
import type { DeviceContext } from '../../../../plugin-api/index.ts';

/** Where datagrams go to and come from: a literal address, as Node writes it. */
export interface DatagramAddress {
  readonly address: string;
  readonly port: number;
  readonly family: 'udp4' | 'udp6';
}

export interface DatagramListener {
  hear(bytes: Buffer): void;
  /** The driver closes. */
  closing(): void;
}

/** Enough for some thousand answers that arrive in one burst; the kernel may give less. */
const receiveBufferBytes = 1 << 20;
/** So many datagrams at most does libuv take from a socket in one turn of the event loop (`uv__udp_recvmsg`). */
const readInOneTurn = 32;

/** One UDP socket per address family, shared by all BMCs; answers find their BMC by the address they come from. */
export class DatagramHub {
  readonly #context: DeviceContext;
  readonly #sockets = new Map<'udp4' | 'udp6', Promise<Socket>>();
  /** The sockets that are bound, so that a datagram need not wait for a promise. */
  readonly #bound: { udp4?: Socket; udp6?: Socket } = {};
  /** By address, then by port. */
  readonly #listeners = new Map<string, Map<number, Set<DatagramListener>>>();
  /** Aborted when the driver closes. */
  readonly closing: AbortSignal;
  /** Datagrams read since the driver began. */
  #read = 0;
  #closed = false;

  constructor(context: DeviceContext, closing: AbortSignal) {
    this.#context = context;
    this.closing = closing;
    closing.addEventListener('abort', () => {
      for (const ports of [...this.#listeners.values()])
        for (const listeners of [...ports.values()])
          for (const listener of [...listeners]) listener.closing();
    });
  }

  /** Gives each datagram from there to `listener`; the returned function ends that. */
  listen({ address, port }: DatagramAddress, listener: DatagramListener): () => void {
    const ports = this.#listeners.get(address) ?? new Map<number, Set<DatagramListener>>();
    this.#listeners.set(address, ports);
    const listeners = ports.get(port) ?? new Set();
    ports.set(port, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && ports.get(port) === listeners) ports.delete(port);
      if (ports.size === 0 && this.#listeners.get(address) === ports) this.#listeners.delete(address);
    };
  }

  /** Hands the datagram to the kernel; `sent` hears null, or why that was not possible (no route, ...). */
  send(bytes: Buffer, to: DatagramAddress, sent: (error: Error | null) => void): void {
    const bound = this.#bound[to.family];
    if (bound) bound.send(bytes, to.port, to.address, sent);
    else this.#socket(to.family).then((socket) => socket.send(bytes, to.port, to.address, sent), sent);
  }

  /**
   * Calls `done` once everything is read that had arrived by now. Timers come before sockets in a turn of the event loop: a process that
   * is late itself would take answers that lie ready for silence.
   */
  onceRead(done: () => void): void {
    const before = this.#read;
    setImmediate(() => {
      if (this.#read - before < readInOneTurn) done();
      else this.onceRead(done);
    });
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
      this.#read += 1;
      const listeners = this.#listeners.get(from.address)?.get(from.port);
      if (listeners) for (const listener of listeners) listener.hear(bytes);
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
