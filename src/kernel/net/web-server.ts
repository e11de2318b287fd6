import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { minutes, seconds, type Duration } from '../../../plugin-api/index.ts';
import { ServiceError } from '../errors/service-error.ts';
import { limitRest } from './limit-rest.ts';
import { peerOf } from './peer-address.ts';
import { SlowReaders } from './slow-readers.ts';
import type { TlsFiles } from './tls-files.ts';

export type WebServer = http.Server | https.Server;

/** Why a connection was closed or not taken, or a request not served. */
export type Refusal =
  | 'too-many-connections'
  | 'too-many-from-address'
  | 'slow-reader'
  | 'pipelining'
  | 'too-many-headers'
  | 'too-large'
  | 'unauthenticated'
  | 'throttled';

/** Limits against clients that are slow, or many, on purpose or by fault. docs/hardening.md tells the reason of each. */
export interface WebServerOptions {
  /** Until a request's headers must be there, and a TLS handshake be over (default 10 s). */
  readonly headersTimeout?: Duration;
  /** Until the whole request must be there (default 60 s). */
  readonly requestTimeout?: Duration;
  /** A connection on which nothing moves for so long is closed (default 120 s). */
  readonly idleTimeout?: Duration;
  /** How long an idle connection is kept for the next request (default 5 s). */
  readonly keepAliveTimeout?: Duration;
  /** What a client may still send after it was answered: then the connection is cut (default 10 s). */
  readonly lingering?: Duration;
  /** How long a client that takes hardly anything of a long answer is borne (default 30 s). */
  readonly readerPatience?: Duration;
  /** Bytes of answers that may wait for all clients together (default 128 MiB). */
  readonly responseBytes?: number;
  /** Default 4096. */
  readonly maxConnections?: number;
  /** From one IPv4 address, or one /64 of IPv6 (default 4096, that is: as many as there may be). */
  readonly maxConnectionsPerAddress?: number;
  /** Hears of each connection and request that is refused for one of these reasons. */
  readonly onRefusal?: (reason: Refusal) => void;
  /** Speaks TLS with this certificate; absent = plain HTTP. */
  readonly tls?: TlsFiles | null;
}

/** Node's default is twice of it; no client of ours sends a quarter. Cookies and long tokens are not known here. */
const headerBytes = 8 * 1024;
/** Clients send some ten. Node drops silently what is beyond its own limit, which could be the one that matters. */
const mostHeaders = 100;
/**
 * Requests that a connection may send without waiting for answers. They are served one after the other: Node would begin with all that come
 * in one piece, a thousand and more, and hold the answers of all.
 */
const mostWaiting = 100;
/** So much of an answer may wait for a client that just does not read: a page of a list, an operation's lines, a screen of a console. */
const heldBytes = 128 * 1024;
/**
 * Connections that may wait to be accepted; the kernel may allow fewer (net.core.somaxconn). libuv accepts one in each turn of the event loop:
 * with Node's 511, a thousand machines that are switched on together are told nothing, and knock again after 1, 3, 7, ... 63 s.
 */
const mostUnaccepted = 4_096;
/** A link of 9600 baud takes more in half a minute. */
const leastProgress = 16 * 1024;

/** An HTTP or HTTPS server, not yet listening. */
export function createWebServer(app: http.RequestListener, options: WebServerOptions = {}): WebServer {
  const headersTimeout = options.headersTimeout ?? seconds(10);
  const requestTimeout = options.requestTimeout ?? minutes(1);
  const limits = {
    headersTimeout: Math.min(headersTimeout, requestTimeout),
    requestTimeout,
    connectionsCheckingInterval: Math.max(50, Math.floor(headersTimeout / 4)),
    maxHeaderSize: headerBytes,
    keepAliveTimeout: options.keepAliveTimeout ?? seconds(5),
  };
  const listener = inTurn(guarded(app, options), options);
  const { tls } = options;
  let server: WebServer;
  if (tls) {
    server = https.createServer({ ...limits, ...tls.material, handshakeTimeout: headersTimeout }, listener);
    tls.serve(server as https.Server);
  } else server = http.createServer(limits, listener);
  server.timeout = options.idleTimeout ?? minutes(2);
  server.maxConnections = options.maxConnections ?? 4096;
  server.on('drop', () => options.onRefusal?.('too-many-connections'));
  limitAddresses(server, options);
  watchReaders(server, options);
  return server;
}

/** One request of a connection at a time. */
function inTurn(serve: http.RequestListener, { onRefusal }: WebServerOptions): http.RequestListener {
  const waiting = new WeakMap<Socket, (() => void)[]>();
  return (req, res) => {
    const { socket } = req;
    const queue = waiting.get(socket);
    const begin = (): void => {
      res.once('close', () => {
        const next = waiting.get(socket)?.shift();
        if (next && !socket.destroyed) next();
        else waiting.delete(socket);
      });
      serve(req, res);
    };
    if (!queue) {
      waiting.set(socket, []);
      begin();
    } else if (queue.length < mostWaiting) queue.push(begin);
    else {
      onRefusal?.('pipelining');
      socket.destroy();
    }
  };
}

/** Before a handler sees a request, and after it answered. */
function guarded(app: http.RequestListener, options: WebServerOptions): http.RequestListener {
  const lingering = options.lingering ?? seconds(10);
  return (req, res) => {
    res.once('finish', () => {
      const refusal = refusalOf(res);
      if (refusal) options.onRefusal?.(refusal);
      if (!req.complete && !req.socket.destroyed) limitRest(req, lingering);
    });
    if (req.rawHeaders.length > 2 * mostHeaders) {
      res.writeHead(431, { connection: 'close', 'content-length': 0 }).end();
      return;
    }
    app(req, res);
  };
}

function refusalOf(res: http.ServerResponse): Refusal | null {
  switch (res.statusCode) {
    case 401:
      return 'unauthenticated';
    case 413:
      return 'too-large';
    case 429:
      return 'throttled';
    case 431:
      return 'too-many-headers';
    default:
      // Doors whose clients do not understand 429 say 503.
      return res.statusCode === 503 && res.hasHeader('retry-after') ? 'throttled' : null;
  }
}

/** One address must not have all connections. */
function limitAddresses(server: WebServer, { maxConnectionsPerAddress, onRefusal }: WebServerOptions): void {
  const most = maxConnectionsPerAddress ?? server.maxConnections;
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket.remoteAddress);
    const count = open.get(peer) ?? 0;
    if (count >= most) {
      onRefusal?.('too-many-from-address');
      socket.destroy();
      return;
    }
    open.set(peer, count + 1);
    socket.once('close', () => {
      const left = open.get(peer)! - 1;
      if (left > 0) open.set(peer, left);
      else open.delete(peer);
    });
  });
}

/** What is written waits in the TLS connection where there is one, else in the TCP connection. */
function watchReaders(server: WebServer, options: WebServerOptions): void {
  const readers = new SlowReaders(
    {
      patience: options.readerPatience ?? seconds(30),
      heldBytes,
      leastProgress,
      allBytes: options.responseBytes ?? 128 * 1024 * 1024,
    },
    (socket) => {
      options.onRefusal?.('slow-reader');
      socket.destroy();
    },
  );
  server.on(options.tls ? 'secureConnection' : 'connection', (socket: Socket) => readers.watch(socket));
}

/**
 * Listens, and says at which URL.
 * @throws ServiceError `config.invalid` when the address is taken or not ours
 */
export async function listen(server: WebServer, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'somebody else listens there' : (cause.code ?? cause.message);
      reject(
        new ServiceError({ code: 'config.invalid', what: `cannot listen on ${host}:${port}: ${why}`, cause }),
      );
    });
    server.listen({ port, host, backlog: mostUnaccepted }, resolve);
  });
  const { address, port: bound, family } = server.address() as AddressInfo;
  const scheme = server instanceof https.Server ? 'https' : 'http';
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${bound}`;
}

/** Closes it with every connection. */
export function close(server: WebServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
