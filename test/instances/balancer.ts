import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What stands before the boot services of several instances: passes each connection to the first one that takes it. */
export class Balancer {
  /** Ports on loopback, the preferred first. */
  backends: readonly number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  static async start(): Promise<Balancer> {
    const balancer = new Balancer();
    await new Promise<void>((resolve) => balancer.#server.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  private constructor() {
    this.#server = createServer((socket) => {
      this.#keep(socket);
      this.#pass(socket, [...this.backends]);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(socket: Socket, backends: readonly number[]): void {
    const [first, ...rest] = backends;
    if (first === undefined) {
      socket.destroy();
      return;
    }
    const target = connect(first, '127.0.0.1');
    this.#keep(target);
    let connected = false;
    target.on('connect', () => {
      connected = true;
      socket.pipe(target);
      target.pipe(socket);
    });
    target.on('close', () => (connected ? socket.destroy() : this.#pass(socket, rest)));
    socket.on('close', () => target.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
