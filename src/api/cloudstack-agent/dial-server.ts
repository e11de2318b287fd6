import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Clock } from '../../../plugin-api/index.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { FramedTlsLink, type LinkEvents } from '../../wire/cloudstack/framed-tls-link.ts';
import type { AgentSettings, CloudEndpoint, ServerAddress } from './agent-settings.ts';

/**
 * Connects to a management server and verifies it. Nothing is sent before the certificate was compared.
 * @throws ServiceError `agent.unreachable`, `agent.handshake` or `agent.certificate`; the signal's reason when aborted.
 */
export async function dialServer(
  server: ServerAddress,
  endpoint: CloudEndpoint,
  settings: Pick<AgentSettings, 'connectTimeout' | 'handshakeTimeout'>,
  clock: Clock,
  events: LinkEvents,
  signal: AbortSignal,
): Promise<FramedTlsLink> {
  const where = `management server ${server.host}:${server.port}`;
  const socket = await withDeadline(
    clock,
    settings.connectTimeout,
    () => unreachable(where, 'it did not answer in time'),
    (inner) => openSocket(server, where, inner),
    signal,
  );
  const identity = endpoint.identity;
  const link = FramedTlsLink.client(
    socket,
    identity ? { cert: identity.certificatePem, key: identity.keyPem.reveal() } : {},
    events,
  );
  try {
    await withDeadline(
      clock,
      settings.handshakeTimeout,
      () => handshakeFailed(where, 'no TLS handshake in time'),
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
    throw handshakeFailed(where, (error as Error).message, error);
  }
  verify(link, endpoint, where);
  return link;
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

function verify(link: FramedTlsLink, endpoint: CloudEndpoint, where: string): void {
  if ('trustAll' in endpoint.trust) return;
  const shown = link.peerCertificate();
  if (shown?.equals(endpoint.trust.pin)) return;
  link.destroy();
  throw new ServiceError({
    code: 'agent.certificate',
    where,
    what: 'the server shows another certificate than the pinned one',
  });
}

function unreachable(where: string, said: string, cause?: unknown): ServiceError {
  return new ServiceError({ code: 'agent.unreachable', where, what: 'no connection', said, cause });
}

function handshakeFailed(where: string, said: string, cause?: unknown): ServiceError {
  return new ServiceError({ code: 'agent.handshake', where, what: 'the TLS handshake failed', said, cause });
}
