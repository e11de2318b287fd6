import { X509Certificate } from 'node:crypto';
import { milliseconds, minutes, seconds, type Duration } from '../../../plugin-api/index.ts';
import type { ClientIdentity } from './client-identity.ts';
import type { ServerAddress } from './server-list.ts';

/** Waiting times of the agent; each wait has an end. */
export interface AgentSettings {
  /** TCP connect. */
  readonly connectTimeout: Duration;
  /** TLS handshake: the server's own limit is 30 s. */
  readonly handshakeTimeout: Duration;
  /** From Startup to StartupAnswer; the stock agent waits 180 s. */
  readonly startupTimeout: Duration;
  /** From StartupAnswer to ReadyCommand: meanwhile the server runs all its connect listeners. */
  readonly readyTimeout: Duration;
  /**
   * First wait after a lost link or a failed attempt; doubles up to `reconnectMax`, spread by half to either side. Once a server is back
   * no wait is longer than a first one.
   */
  readonly reconnectMin: Duration;
  readonly reconnectMax: Duration;
  /** Wait after the server refused the host: a person has to change something there. */
  readonly refusedRetry: Duration;
  /** Time between pings, or null for what the server says. */
  readonly pingInterval: Duration | null;
  /** So many pings in a row without an answer mean that the link is dead. */
  readonly unansweredPings: number;
  /** Longest wait for a power report; a ping never waits longer and then goes without one. */
  readonly reportTimeout: Duration;
  /** Longest wait for the peer when a link is closed in order. */
  readonly closeTimeout: Duration;
  /**
   * Links that dial at the same time. A handshake takes the event loop some milliseconds, and those of all that dial may fall together
   * (`make bench ONLY=agent-links`); servers limit new connections too (4.20.1+).
   */
  readonly concurrentConnects: number;
  /** How long links rather dial another server than one that could not be reached; then one of them tries it. */
  readonly awayFor: Duration;
  /** Between two looks at the preferred server, or null for what the server says. */
  readonly balanceInterval: Duration | null;
  /** TCP connect of such a look. */
  readonly probeTimeout: Duration;
  /** From the answer to MigrateAgentConnectionCommand to the move; the stock agent's is 3 s. */
  readonly moveDelay: Duration;
}

export const defaultAgentSettings: AgentSettings = {
  connectTimeout: seconds(10),
  handshakeTimeout: seconds(30),
  startupTimeout: seconds(180),
  readyTimeout: minutes(5),
  reconnectMin: seconds(5),
  reconnectMax: seconds(60),
  refusedRetry: minutes(5),
  pingInterval: null,
  unansweredPings: 3,
  reportTimeout: seconds(10),
  closeTimeout: milliseconds(3_000),
  concurrentConnects: 8,
  awayFor: seconds(60),
  balanceInterval: null,
  probeTimeout: seconds(5),
  moveDelay: seconds(3),
};

/**
 * Whom a link trusts: the server whose certificate is exactly the pinned one (DER), or, only when said so, anyone. A certificate merely
 * signed by the pinned authority is not enough: every agent of the cloud has such a one.
 */
export type ServerTrust = { readonly pin: Buffer } | { readonly trustAll: true };

/** What a connection demands and shows. */
export interface Credentials {
  readonly trust: ServerTrust;
  /** Needed where the cloud authenticates strictly (`ca.plugin.root.auth.strictness`); its SAN must have our source address. */
  readonly identity: ClientIdentity | null;
}

/** Where credentials come from. They may change at any time: each connection asks anew. */
export interface CloudCredentials {
  /** @throws ServiceError `agent.identity` when there are none that can be used. */
  current(): Promise<Credentials>;
  /**
   * A certificate request (PEM) for a key of ours.
   * @param addresses ours, as the management server sees them.
   * @throws ServiceError `agent.identity` when certificates come from elsewhere.
   */
  requestCertificate(addresses: readonly string[]): Promise<string>;
  /**
   * Takes the certificate (PEM) for an earlier request into use, for every connection from now on.
   * @throws ServiceError `agent.identity` when it is not the one that was asked for.
   */
  installCertificate(pem: string, addresses: readonly string[]): Promise<void>;
}

/** One CloudStack: its management servers and how to know and be known by them. */
export interface CloudEndpoint {
  /** At least one: tried round robin until a server tells more, and always the fall-back. */
  readonly servers: readonly ServerAddress[];
  readonly credentials: CloudCredentials;
}

/**
 * The pin for a CA certificate in PEM, as `listCaCertificate` gives it.
 * @throws Error when the text is not a certificate.
 */
export function pinFromPem(pem: string): Buffer {
  return new X509Certificate(pem).raw;
}
