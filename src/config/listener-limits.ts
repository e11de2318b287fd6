import type { FailureLimitOptions } from '../kernel/concurrency/failure-limit.ts';
import type { RateLimitOptions } from '../kernel/concurrency/rate-limit.ts';
import { ByteBudget } from '../kernel/net/byte-budget.ts';
import type { WebServerOptions } from '../kernel/net/web-server.ts';
import type { Limits } from './section/limits.ts';

/** The section `limits` as listeners and doors take it. */
export interface ListenerLimits {
  /** Of a server; the same for each. */
  readonly server: WebServerOptions;
  /** Of wrong credentials. */
  readonly failures: FailureLimitOptions;
  /** Of a principal's requests. */
  readonly requests: RateLimitOptions;
  /** Of what a machine asks the boot service. */
  readonly boots: RateLimitOptions;
  /** Memory for bodies; new ones for each listener, so that none can starve another. */
  budgets(): BodyBudgets;
}

export interface BodyBudgets {
  /** For callers that have shown who they are. */
  readonly known: ByteBudget;
  /** For all others, so that they cannot keep those out. */
  readonly unknown: ByteBudget;
}

const mebibyte = 1024 * 1024;
/** What nobody known gets is a sixteenth: a login is small. */
const unknownShare = 16;

export function listenerLimits(limits: Limits): ListenerLimits {
  return {
    server: {
      maxConnections: limits.connections,
      maxConnectionsPerAddress: limits.connectionsPerAddress,
      headersTimeout: limits.headersTimeout,
      lingering: limits.headersTimeout,
      requestTimeout: limits.bodyTimeout,
      idleTimeout: limits.idleTimeout,
      readerPatience: limits.readerPatience,
      responseBytes: limits.answerMemoryMiB * mebibyte,
    },
    failures: {
      failures: limits.failedLogins,
      window: limits.failedLoginWait,
      longest: limits.failedLoginLongestWait,
    },
    requests: { rate: limits.requestsPerSecond, burst: limits.requestsAtOnce },
    boots: { rate: limits.bootsPerSecond, burst: limits.bootsAtOnce },
    budgets: () => ({
      known: new ByteBudget(limits.bodyMemoryMiB * mebibyte),
      unknown: new ByteBudget((limits.bodyMemoryMiB * mebibyte) / unknownShare),
    }),
  };
}
