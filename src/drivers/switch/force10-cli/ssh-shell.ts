import { createHash, timingSafeEqual } from 'node:crypto';
import { Client, type AuthenticationType, type ClientChannel, type ConnectConfig } from 'ssh2';
import { withDeadline } from '../../../kernel/concurrency/deadline.ts';
import { DeviceError, type Clock, type SwitchTarget } from '../../../../plugin-api/index.ts';
import type { Force10Settings } from './settings.ts';

/** Bytes to and from the shell of a switch. */
export interface SwitchShell {
  /** SHA-256 of the host key, hex. */
  readonly hostKey: string;
  write(text: string): void;
  onData(listener: (chunk: Buffer) => void): void;
  /** Called once, with the reason in words; at once if the shell is closed already. */
  onClosed(listener: (reason: string) => void): void;
  /** Says goodbye, waits for the other side within `closeTimeout`, then cuts the connection. Never rejects. */
  close(): Promise<void>;
  /** Cuts the connection. */
  destroy(): void;
}

/** Key exchange and ciphers of firmware that gets no updates any more; only where the target allows them. */
const legacyAlgorithms: NonNullable<ConnectConfig['algorithms']> = {
  kex: {
    append: [
      'diffie-hellman-group-exchange-sha1',
      'diffie-hellman-group14-sha1',
      'diffie-hellman-group1-sha1',
    ],
    prepend: [],
    remove: [],
  },
  cipher: { append: ['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc'], prepend: [], remove: [] },
  serverHostKey: { append: ['ssh-dss'], prepend: [], remove: [] },
};

/**
 * Connects, logs in and opens a shell.
 * @throws DeviceError `switch.unreachable`, `switch.auth`, `switch.host-key`, `switch.crypto`
 */
export async function openSshShell(
  target: SwitchTarget,
  settings: Force10Settings,
  clock: Clock,
  signal?: AbortSignal,
): Promise<SwitchShell> {
  const where = `switch ${target.name}`;
  const client = new Client();
  const timedOut = (): Error =>
    new DeviceError({
      code: 'switch.unreachable',
      what: 'no SSH login in time',
      where: `${where} (${target.host})`,
    });
  try {
    return await withDeadline(
      clock,
      settings.connectTimeout,
      timedOut,
      (inner) => connect(client, target, where, settings, clock, inner),
      signal,
    );
  } catch (error) {
    client.destroy();
    throw error;
  }
}

function connect(
  client: Client,
  target: SwitchTarget,
  where: string,
  settings: Force10Settings,
  clock: Clock,
  signal: AbortSignal,
): Promise<SwitchShell> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    let hostKey = '';
    let keyError: DeviceError | null = null;
    let lost = 'the connection was closed';
    const fail = (error: Error): void => reject(keyError ?? error);
    const refusedChannel = (said: string): DeviceError =>
      new DeviceError({
        code: 'switch.unreachable',
        what: 'the switch closed the connection during the login',
        where,
        said,
        remedy: 'its VTY lines may be taken, or too many connections came in the last minute; wait',
      });
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    // Stays for as long as the client lives: an error without a listener would end the process.
    client.on('error', (error: Error & { level?: string }) => {
      lost = error.message;
      fail(connectError(error, target, where));
    });
    client.on('close', () => fail(refusedChannel(lost)));
    // One short line at a time, each waited for: gathering them into full packets only costs time.
    client.on('connect', () => void client.setNoDelay(true));
    client.on('ready', () => {
      // Old releases misbehave without a terminal; a wide one keeps lines from being wrapped.
      client.shell({ term: 'vt100', cols: 512, rows: 1000 }, (error, channel) => {
        if (error) fail(refusedChannel(error.message));
        else resolve(shellOver(client, channel, hostKey, () => lost, settings, clock));
      });
    });
    client.connect({
      host: target.host,
      port: target.port,
      username: target.username,
      // The deadline above watches over the whole login.
      readyTimeout: 0,
      authHandler: passwordOnce(target),
      hostVerifier: (key: Buffer) => {
        hostKey = createHash('sha256').update(key).digest('hex');
        keyError = checkPin(target, hostKey, where);
        return keyError === null;
      },
      ...(target.legacyCrypto ? { algorithms: legacyAlgorithms } : {}),
    });
  });
}

/**
 * Sends the password once: OS9 takes `keyboard-interactive` first where both are on, and a wrong password that is sent twice
 * counts twice towards a lock-out.
 */
function passwordOnce(target: SwitchTarget) {
  let sent = false;
  const tried = new Set<string>();
  return (allowed: AuthenticationType[] | null) => {
    const username = target.username;
    const next = (['keyboard-interactive', 'password'] as const).find(
      (method) => !tried.has(method) && allowed?.includes(method),
    );
    if (allowed === null) return { type: 'none', username };
    if (sent || next === undefined) return false;
    tried.add(next);
    if (next === 'password') {
      sent = true;
      return { type: next, username, password: target.password.reveal() };
    }
    const prompt = (
      _name: string,
      _instructions: string,
      _language: string,
      prompts: readonly unknown[],
      finish: (answers: string[]) => void,
    ): void => {
      if (prompts.length > 0) sent = true;
      finish(prompts.map(() => target.password.reveal()));
    };
    return { type: next, username, prompt };
  };
}

/** A pin is hex, with or without colons, or base64 as `ssh-keygen -l` prints it. */
function checkPin(target: SwitchTarget, seen: string, where: string): DeviceError | null {
  if (target.hostKeyPin === undefined) return null;
  const pin = target.hostKeyPin.trim();
  const bytes = /^SHA256:/i.test(pin)
    ? Buffer.from(pin.slice('SHA256:'.length), 'base64')
    : Buffer.from(pin.replaceAll(':', ''), 'hex');
  const actual = Buffer.from(seen, 'hex');
  if (bytes.length === actual.length && timingSafeEqual(bytes, actual)) return null;
  return new DeviceError({
    code: 'switch.host-key',
    what: 'the host key is not the pinned one',
    where,
    said: `SHA256:${actual.toString('base64').replace(/=+$/, '')}`,
  });
}

function connectError(error: Error & { level?: string }, target: SwitchTarget, where: string): DeviceError {
  const parts = { where, said: error.message, cause: error };
  if (error.level === 'client-authentication') {
    return new DeviceError({
      ...parts,
      code: 'switch.auth',
      what: `the login as "${target.username}" was refused`,
    });
  }
  if (/no matching/i.test(error.message)) {
    return new DeviceError({
      ...parts,
      code: 'switch.crypto',
      what: 'the SSH key exchange found nothing in common',
    });
  }
  return new DeviceError({
    ...parts,
    code: 'switch.unreachable',
    what: `no SSH connection to ${target.host}:${target.port}`,
  });
}

function shellOver(
  client: Client,
  channel: ClientChannel,
  hostKey: string,
  lost: () => string,
  settings: Force10Settings,
  clock: Clock,
): SwitchShell {
  let closedBecause: string | null = null;
  const listeners: ((reason: string) => void)[] = [];
  const closed = new Promise<void>((resolve) => {
    const onClose = (): void => {
      if (closedBecause !== null) return;
      closedBecause = lost();
      for (const listener of listeners) listener(closedBecause);
    };
    channel.on('end', onClose);
    channel.on('close', onClose);
    channel.on('error', onClose);
    client.on('close', () => {
      onClose();
      resolve();
    });
  });
  channel.stderr.resume();
  return {
    hostKey,
    write: (text) => void channel.write(text),
    onData: (listener) => void channel.on('data', listener),
    onClosed: (listener) => {
      if (closedBecause !== null) listener(closedBecause);
      else listeners.push(listener);
    },
    close: async () => {
      client.end();
      const enough = new AbortController();
      const time = clock.sleep(settings.closeTimeout, enough.signal).catch(() => undefined);
      await Promise.race([closed, time]);
      enough.abort(new Error('closed'));
      client.destroy();
    },
    destroy: () => void client.destroy(),
  };
}
