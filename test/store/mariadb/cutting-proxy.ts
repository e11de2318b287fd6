import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The statement alone, as a COM_QUERY packet has it: READ COMMITTED is not meant. */
const commitQuery = '\x03COMMIT';

/** What becomes of a connection when a COMMIT goes by. */
export type Cut = 'never' | 'before' | 'after';

/** A way to the server that breaks at COMMIT: before it arrives there, or before its answer arrives here. */
export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  cut: Cut = 'never';
  /** How often it has cut. */
  cuts = 0;

  static async start(port: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, '127.0.0.1');
      const end = (): void => {
        client.destroy();
        server.destroy();
      };
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', end).on('close', () => {
          this.#sockets.delete(socket);
          end();
        });
      }
      let silent = false;
      client.on('data', (bytes) => {
        const commit = this.cut !== 'never' && bytes.includes(commitQuery);
        if (commit) this.cuts += 1;
        if (commit && this.cut === 'before') end();
        else {
          silent ||= commit;
          server.write(bytes);
        }
      });
      server.on('data', (bytes) => {
        if (silent) end();
        else client.write(bytes);
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
