import http from 'node:http';
import { seconds, type Duration } from '../../../plugin-api/index.ts';

/** Limits against clients that are slow on purpose or by fault. */
export interface BootServerLimits {
  /** Until a request's headers must be there (default 10 s). */
  readonly headersTimeout?: Duration;
  /** Until the whole request must be there (default 60 s). */
  readonly requestTimeout?: Duration;
  /** A connection on which nothing moves for so long is closed (default 120 s); the agent goes on by Range. */
  readonly idleTimeout?: Duration;
  /** How long an idle connection is kept for the next request (default 5 s). */
  readonly keepAliveTimeout?: Duration;
  /** Default 4096. */
  readonly maxConnections?: number;
}

/** An HTTP server for the boot app, not yet listening. */
export function createBootServer(app: http.RequestListener, limits: BootServerLimits = {}): http.Server {
  const headersTimeout = limits.headersTimeout ?? seconds(10);
  const requestTimeout = limits.requestTimeout ?? seconds(60);
  const server = http.createServer(
    {
      headersTimeout: Math.min(headersTimeout, requestTimeout),
      requestTimeout,
      connectionsCheckingInterval: Math.max(50, Math.floor(headersTimeout / 4)),
      maxHeaderSize: 8 * 1024,
      keepAliveTimeout: limits.keepAliveTimeout ?? seconds(5),
    },
    app,
  );
  server.timeout = limits.idleTimeout ?? seconds(120);
  server.maxConnections = limits.maxConnections ?? 4096;
  return server;
}
