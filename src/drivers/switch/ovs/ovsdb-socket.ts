import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import {
  connect as connectTls,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import { DeviceError, type Clock, type DeviceCode, type SwitchTarget } from '../../../../plugin-api/index.ts';
import { withDeadline } from '../../../kernel/concurrency/deadline.ts';
import type { OvsSettings } from './settings.ts';

/** A connection to the database server of Open vSwitch. */
export interface OvsdbSocket {
  readonly socket: Socket;
  /** SHA-256 of the server's certificate, hex, where it is all that tells whom we talk to; else null. */
  readonly hostKey: string | null;
}

/**
 * Connects over a Unix socket, TCP, or TLS.
 * @throws DeviceError `switch.unreachable`, `switch.auth`, `switch.host-key`, `switch.transport`
 */
export async function openOvsdbSocket(
  target: SwitchTarget,
  settings: OvsSettings,
  clock: Clock,
  signal?: AbortSignal,
): Promise<OvsdbSocket> {
  const timedOut = (): Error =>
    failure(target, 'switch.unreachable', `no connection to ${address(target)} in time`);
  return withDeadline(
    clock,
    settings.connectTimeout,
    timedOut,
    async (inner) => {
      const socket = await dial(target, settings);
      try {
        await connected(socket, target, inner);
        return { socket, hostKey: 'authorized' in socket ? checkPeer(socket, target, settings) : null };
      } catch (error) {
        socket.destroy();
        throw error;
      }
    },
    signal,
  );
}

function address({ transport, host, port }: SwitchTarget): string {
  return transport === 'unix' ? host : `${host}:${port}`;
}

async function dial(target: SwitchTarget, settings: OvsSettings): Promise<Socket | TLSSocket> {
  const { host, port } = target;
  switch (target.transport) {
    case 'unix':
      return connectPlain({ path: host });
    case 'tcp':
      return connectPlain({ host, port, noDelay: true });
    case 'ssl': {
      const read = async (path: string | null): Promise<Buffer | undefined> =>
        path === null ? undefined : pem(path, target);
      const [ca, cert, key] = await Promise.all(
        [settings.caFile, settings.certificateFile, settings.privateKeyFile].map(read),
      );
      return connectTls({
        host,
        port,
        secureContext: tlsContext(target, { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }),
        // Whom we talk to is decided in `checkPeer`: certificates of Open vSwitch name a switch, not a host.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
    }
    default:
      throw failure(target, 'switch.transport', `unknown transport: "${target.transport}"`, {
        remedy: 'set "transport" to unix, tcp or ssl',
      });
  }
}

async function pem(path: string, target: SwitchTarget): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw failure(target, 'switch.transport', 'a file that the settings name for TLS cannot be read', {
      said: (cause as Error).message,
      remedy: 'correct the path below switch.settings, or let the service read the file',
      cause,
    });
  }
}

function tlsContext(target: SwitchTarget, files: SecureContextOptions): SecureContext {
  try {
    return createSecureContext({ ...files, minVersion: 'TLSv1.2' });
  } catch (cause) {
    // What OpenSSL says of a bad file quotes nothing of it.
    throw failure(target, 'switch.transport', 'the files that the settings name for TLS are of no use', {
      said: (cause as Error).message,
      remedy: 'put certificates and a key that belongs to them there, in PEM',
      cause,
    });
  }
}

function connected(socket: Socket | TLSSocket, target: SwitchTarget, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    // Stays for as long as the socket lives: an error without a listener would end the process.
    socket.on('error', (error: NodeJS.ErrnoException) => reject(connectError(error, target)));
  });
}

function connectError(error: NodeJS.ErrnoException, target: SwitchTarget): DeviceError {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return failure(target, 'switch.auth', `we may not use ${target.host}`, {
      said: error.message,
      remedy: 'let the user of the service write to the socket',
      cause: error,
    });
  }
  const remedy =
    target.transport === 'unix'
      ? 'check that ovsdb-server runs here, and that "ip" in the rack config is the path of its socket'
      : 'check address and port, and that the server listens there (ovs-vsctl get-manager, or --remote of ovsdb-server)';
  const what = `no connection to ${address(target)}`;
  return failure(target, 'switch.unreachable', what, { said: error.message, remedy, cause: error });
}

/** @returns what the caller may pin; null where a certificate authority of our own vouches for the switch */
function checkPeer(socket: TLSSocket, target: SwitchTarget, settings: OvsSettings): string | null {
  const seen = createHash('sha256').update(socket.getPeerCertificate().raw).digest();
  if (settings.caFile !== null && !socket.authorized) {
    const what = 'the certificate of the switch is not from the certificate authority in the settings';
    throw failure(target, 'switch.host-key', what, { said: String(socket.authorizationError) });
  }
  const pin = target.hostKeyPin;
  if (pin !== undefined) {
    const bytes = pin.startsWith('SHA256:')
      ? Buffer.from(pin.slice('SHA256:'.length), 'base64')
      : Buffer.from(pin, 'hex');
    if (bytes.length !== seen.length || !timingSafeEqual(bytes, seen)) {
      const said = `SHA256:${seen.toString('base64').replace(/=+$/, '')}`;
      throw failure(target, 'switch.host-key', 'the certificate is not the pinned one', { said });
    }
  }
  return settings.caFile === null ? seen.toString('hex') : null;
}

function failure(
  target: SwitchTarget,
  code: DeviceCode,
  what: string,
  more: { readonly said?: string; readonly remedy?: string; readonly cause?: unknown } = {},
): DeviceError {
  return new DeviceError({ code, what, where: `switch ${target.name}`, ...more });
}
