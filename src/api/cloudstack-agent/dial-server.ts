import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../../../plugin-api/index.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { FramedTlsLink, type LinkEvents } from '../../wire/cloudstack/framed-tls-link.ts';
import { LoopTurns } from '../../wire/cloudstack/loop-turns.ts';
import type { AgentSettings, CloudCredentials, Credentials } from './agent-settings.ts';
import { identityError, type ClientIdentity } from './client-identity.ts';
import type { ServerAddress } from './server-list.ts';

/** A link whose server was verified. */
export interface DialledServer {
  readonly link: FramedTlsLink;
  /** The server's address as the socket has it. */
  readonly remoteAddress: string | null;
  /** Our own, as a server without NAT between us sees it. */
  readonly localAddress: string | null;
  /** Who we said to be. */
  readonly identity: ClientIdentity | null;
}

/** Nothing is there, or nothing answers: whoever dials the same server next would find the same. */
export class ServerAwayError extends ServiceError {}

/**
 * Connects to a management server and verifies it. Nothing is sent before the certificate was compared.
 * @throws ServiceError `agent.unreachable`, `agent.handshake` (both may be a {@link ServerAwayError}), `agent.certificate` or `agent.identity`; the signal's reason when aborted.
 */
export async function dialServer(
  server: ServerAddress,
  credentials: Pick<CloudCredentials, 'current'>,
  settings: Pick<AgentSettings, 'connectTimeout' | 'handshakeTimeout'>,
  clock: Clock,
  events: LinkEvents,
  signal: AbortSignal,
): Promise<DialledServer> {
  const where = `management server ${server.host}:${server.port}`;
  // Read for each connection: files may have changed, or a server may have given us a certificate.
  const { trust, identity } = await credentials.current();
  const socket = await withDeadline(
    clock,
    settings.connectTimeout,
    () => unreachable(where, 'it did not answer in time'),
    (inner) => openSocket(server, where, inner),
    signal,
  );
  const remoteAddress = socket.remoteAddress ?? null;
  const localAddress = socket.localAddress ?? null;
  const link = FramedTlsLink.client(socket, { secureContext: contextOf(identity) }, events, handshakes);
  try {
    await withDeadline(
      clock,
      settings.handshakeTimeout,
      () => new ServerAwayError({ code: 'agent.handshake', where, what: 'no TLS handshake in time' }),
      async (inner) => {
        const abort = (): void => link.destroy();
        inner.addEventListener('abort', abort, { once: true });
        try {
          await link.secured();
        } finally {
          inner.removeEventListener('abort', abort);
        }
      },
      signal,
    );
  } catch (error) {
    link.destroy();
    if (signal.aborted || error instanceof ServiceError) throw error;
    throw expiredIdentity(identity, where, clock) ?? handshakeFailed(where, (error as Error).message, error);
  }
  verify(link, trust, where);
  return { link, remoteAddress, localAddress, identity };
}

/** A handshake takes the event loop some milliseconds: all links share its turns. */
const handshakes = new LoopTurns();

/** By identity, which is read anew only when its files changed. */
const contexts = new WeakMap<ClientIdentity, SecureContext>();
let anonymous: SecureContext | undefined;

function contextOf(identity: ClientIdentity | null): SecureContext {
  if (!identity) return (anonymous ??= FramedTlsLink.context({}));
  let context = contexts.get(identity);
  if (!context) {
    context = FramedTlsLink.context({ cert: identity.certificatePem, key: identity.keyPem.reveal() });
    contexts.set(identity, context);
  }
  return context;
}

/** What a server that drops us before it took the host probably means when our certificate has expired; null when it has not. */
export function expiredIdentity(
  identity: ClientIdentity | null,
  where: string,
  clock: Clock,
): ServiceError | null {
  if (!identity || identity.expiresAt > clock.now()) return null;
  const end = new Date(identity.expiresAt).toISOString();
  return identityError(`it expired at ${end}, and ${where} closed the connection`);
}

async function openSocket(server: ServerAddress, where: string, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: server.host, port: server.port, noDelay: true, keepAlive: true });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    throw unreachable(where, (error as Error).message, error);
  }
}

function verify(link: FramedTlsLink, trust: Credentials['trust'], where: string): void {
  if ('trustAll' in trust) return;
  const shown = link.peerCertificate();
  if (shown?.equals(trust.pin)) return;
  link.destroy();
  throw new ServiceError({
    code: 'agent.certificate',
    where,
    what: 'the server shows another certificate than the pinned one',
  });
}

function unreachable(where: string, said: string, cause?: unknown): ServiceError {
  return new ServerAwayError({ code: 'agent.unreachable', where, what: 'no connection', said, cause });
}

function handshakeFailed(where: string, said: string, cause?: unknown): ServiceError {
  return new ServiceError({ code: 'agent.handshake', where, what: 'the TLS handshake failed', said, cause });
}
