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
  readonly #handlers = new Map<string, Set<DatagramHandler>>();
  #closed = false;

  constructor(context: DeviceContext) {
    this.#context = context;
  }

  /** Calls `handler` for each datagram from there; the returned function ends that. */
  listen(address: string, port: number, handler: DatagramHandler): () => void {
    const key = endpoint(address, port);
    const handlers = this.#handlers.get(key) ?? new Set();
    this.#handlers.set(key, handlers.add(handler));
    return () => {
      handlers.delete(handler);
      if (handlers.size === 0) this.#handlers.delete(key);
    };
  }

  /** Resolves when the datagram was handed to the kernel. @throws the system's error (no route, ...) */
  async send(bytes: Buffer, address: string, port: number): Promise<void> {
    const socket = await this.#socket(isIPv6(address) ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) =>
      socket.send(bytes, port, address, (error) => (error ? reject(error) : resolve())),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
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
      for (const handler of this.#handlers.get(endpoint(from.address, from.port)) ?? []) handler(bytes);
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
        resolve(socket);
      });
    });
  }
}

function endpoint(address: string, port: number): string {
  return `${address} ${port}`;
}
