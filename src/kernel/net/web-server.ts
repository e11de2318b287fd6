import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { seconds, type Duration } from '../../../plugin-api/index.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TlsFiles } from './tls-files.ts';

export type WebServer = http.Server | https.Server;

/** Limits against clients that are slow on purpose or by fault. */
export interface WebServerOptions {
  /** Until a request's headers must be there, and a TLS handshake be over (default 10 s). */
  readonly headersTimeout?: Duration;
  /** Until the whole request must be there (default 60 s). */
  readonly requestTimeout?: Duration;
  /** A connection on which nothing moves for so long is closed (default 120 s). */
  readonly idleTimeout?: Duration;
  /** How long an idle connection is kept for the next request (default 5 s). */
  readonly keepAliveTimeout?: Duration;
  /** Default 4096. */
  readonly maxConnections?: number;
  /** Speaks TLS with this certificate; absent = plain HTTP. */
  readonly tls?: TlsFiles | null;
}

/** An HTTP or HTTPS server, not yet listening. */
export function createWebServer(app: http.RequestListener, options: WebServerOptions = {}): WebServer {
  const headersTimeout = options.headersTimeout ?? seconds(10);
  const requestTimeout = options.requestTimeout ?? seconds(60);
  const limits = {
    headersTimeout: Math.min(headersTimeout, requestTimeout),
    requestTimeout,
    connectionsCheckingInterval: Math.max(50, Math.floor(headersTimeout / 4)),
    maxHeaderSize: 8 * 1024,
    keepAliveTimeout: options.keepAliveTimeout ?? seconds(5),
  };
  const { tls } = options;
  let server: WebServer;
  if (tls) {
    server = https.createServer({ ...limits, ...tls.material, handshakeTimeout: headersTimeout }, app);
    tls.serve(server as https.Server);
  } else server = http.createServer(limits, app);
  server.timeout = options.idleTimeout ?? seconds(120);
  server.maxConnections = options.maxConnections ?? 4096;
  return server;
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
    server.listen(port, host, resolve);
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
