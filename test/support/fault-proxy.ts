import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What becomes of one request. */
export type ProxyFault =
  /** It is passed on and done, and the connection is cut instead of the answer. */
  | { readonly kind: 'cut-after' }
  | { readonly kind: 'cut-before' }
  /** It is swallowed: no answer ever comes. */
  | { readonly kind: 'hang' }
  | {
      readonly kind: 'answer';
      readonly code: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** Stands between a client and a server over HTTP, and spoils requests by their first line. */
export class FaultProxy {
  /** Requests as `POST /MAAS/api/2.0/machines/?op=allocate`, as they came. */
  readonly seen: string[] = [];
  readonly #faults: { readonly match: RegExp; readonly fault: ProxyFault }[] = [];
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();
  readonly #hanging = new Set<Socket>();

  /** @param target root of the server: `http://127.0.0.1:5240` */
  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(target));
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(target: URL) {
    this.#server = http.createServer((request, response) => this.#pass(target, request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  get root(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Spoils the next requests that match, one for each fault. */
  spoil(match: RegExp, ...faults: readonly ProxyFault[]): void {
    for (const fault of faults) this.#faults.push({ match, fault });
  }

  /** Faults that met no request yet. */
  get left(): number {
    return this.#faults.length;
  }

  /** No fault is left; whoever still waits for a swallowed request finds the connection cut. */
  heal(): void {
    this.#faults.length = 0;
    for (const socket of this.#hanging) socket.destroy();
    this.#hanging.clear();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(target: URL, request: http.IncomingMessage, response: http.ServerResponse): void {
    const line = `${request.method} ${request.url}`;
    this.seen.push(line);
    const index = this.#faults.findIndex(({ match }) => match.test(line));
    const fault = index < 0 ? undefined : this.#faults.splice(index, 1)[0]!.fault;
    if (fault?.kind === 'cut-before') return void request.socket.destroy();
    if (fault?.kind === 'hang') return void this.#hanging.add(request.socket);
    if (fault?.kind === 'answer') {
      request.resume();
      response.writeHead(fault.code, fault.headers);
      response.end(fault.body);
      return;
    }
    const { method, url, headers } = request;
    const { hostname, port } = target;
    const onward = http.request({ hostname, port, method, path: url, headers, agent: false }, (answer) => {
      if (fault?.kind === 'cut-after') {
        answer.resume();
        answer.on('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => request.socket.destroy());
    request.pipe(onward);
  }
}
