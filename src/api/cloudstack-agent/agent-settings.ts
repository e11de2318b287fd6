import { X509Certificate } from 'node:crypto';
import { milliseconds, minutes, seconds, type Duration, type Secret } from '../../../plugin-api/index.ts';

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
  /** First wait after a lost link or a failed attempt; doubles up to `reconnectMax`, spread by half to either side. */
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
  /** Links that may be connecting at the same time: servers limit new connections (4.20.1+). */
  readonly concurrentConnects: number;
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
  concurrentConnects: 32,
};

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Whom a link trusts: the server whose certificate is exactly the pinned one (DER), or, only when said so, anyone. A certificate merely
 * signed by the pinned authority is not enough: every agent of the cloud has such a one.
 */
export type ServerTrust = { readonly pin: Buffer } | { readonly trustAll: true };

/** One CloudStack: its management servers and how to know and be known by them. */
export interface CloudEndpoint {
  /** Tried round robin; at least one. */
  readonly servers: readonly ServerAddress[];
  readonly trust: ServerTrust;
  /** Needed where the cloud authenticates strictly (`ca.plugin.root.auth.strictness`); its SAN must have our source address. */
  readonly identity?: { readonly certificatePem: string; readonly keyPem: Secret } | undefined;
}

/**
 * The pin for a CA certificate in PEM, as `listCaCertificate` gives it.
 * @throws Error when the text is not a certificate.
 */
export function pinFromPem(pem: string): Buffer {
  return new X509Certificate(pem).raw;
}
