import { createHash, generateKeyPairSync } from 'node:crypto';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { createServer } from 'node:net';
import ssh2 from 'ssh2';
import type { Algorithms, AuthContext, Connection, ServerChannel } from 'ssh2';
import { milliseconds, type Clock } from '../../plugin-api/index.ts';
import { ChunkedOutput } from './chunked-output.ts';
import type { Chunking } from './chunked-output.ts';
import { LineEditor } from './line-editor.ts';
import { Os9Cli } from './os9-cli.ts';
import type { Os9Model } from './os9-model.ts';
import type { ShellOptions, ShellSurroundings } from './shell-session.ts';
import { runShell } from './shell-session.ts';

export type CryptoProfile = 'modern' | 'legacy';

export interface SshFaceSettings {
  readonly model: Os9Model;
  readonly clock: Clock;
  readonly shell: ShellSurroundings;
  readonly crypto: CryptoProfile;
  readonly methods: readonly ('password' | 'keyboard-interactive')[];
  readonly banner: string | null;
  readonly acknowledge: string | null;
  readonly chunking: Chunking;
  /** New connections per minute before the switch closes them at once; null = no limit. */
  readonly connectionsPerMinute: number | null;
  /** Milliseconds without input after which a session ends. */
  readonly idleMs: number;
  /** Lines per page that a session starts with. */
  readonly terminalLength: number;
}

/** What happens to a new TCP connection: served, closed at once, or taken and never answered. */
export type Reception = 'served' | 'closed' | 'silent';

/** As OS9 shows itself (netmiko issue 128). */
const ident = 'SSH_v2.0@force10networks.com';

/** Old firmware: SHA-1 and CBC only. ssh2's server has no group-exchange (mscdex/ssh2 issue 608). */
const legacyAlgorithms: Algorithms = {
  kex: ['diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'],
  cipher: ['aes128-cbc', '3des-cbc'],
  serverHostKey: ['ssh-rsa'],
  hmac: ['hmac-sha1'],
  compress: ['none'],
};

/**
 * A host key for the profile: RSA for old firmware, ECDSA otherwise because it is made in no time. Made by Node, because
 * one in 250 Ed25519 keys that ssh2 1.17 makes cannot be read by ssh2 itself ("Malformed OpenSSH private key").
 */
export function makeHostKey(crypto: CryptoProfile): string {
  return crypto === 'legacy'
    ? generateKeyPairSync('rsa', {
        modulusLength: 2048,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      }).privateKey
    : generateKeyPairSync('ec', {
        namedCurve: 'prime256v1',
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'sec1', format: 'pem' },
      }).privateKey;
}

/** SHA-256 of the public host key, hex: what a client with `hostHash: 'sha256'` sees. */
export function hostKeyFingerprint(hostKey: string): string {
  const parsed = ssh2.utils.parseKey(hostKey);
  if (parsed instanceof Error) throw parsed;
  return createHash('sha256').update(parsed.getPublicSSH()).digest('hex');
}

/** The SSH server of a switch on loopback. */
export class SshFace {
  readonly #settings: SshFaceSettings;
  readonly #listener: NetServer;
  /** Open connections; aborting one breaks it at once, before any event of its socket. */
  readonly #open = new Map<Socket, AbortController>();
  readonly #recent: number[] = [];
  reception: Reception = 'served';
  #ssh: ssh2.Server | null = null;
  #sessionNumber = 0;
  #now = 0;
  #max = 0;
  #connections = 0;
  #refused = 0;

  constructor(settings: SshFaceSettings) {
    this.#settings = settings;
    this.#listener = createServer((socket) => this.#accept(socket));
  }

  /** Sessions with a terminal line: now, the most at once, and ever; TCP connections ever, and those turned away. */
  get counts(): { now: number; max: number; total: number; connections: number; refused: number } {
    return {
      now: this.#now,
      max: this.#max,
      total: this.#sessionNumber,
      connections: this.#connections,
      refused: this.#refused,
    };
  }

  /** The TCP port, once listening. */
  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen(port, '127.0.0.1', () => {
        this.#listener.off('error', reject);
        resolve();
      });
    });
  }

  /** Serves with this host key from now on. */
  useHostKey(hostKey: string): void {
    const { crypto } = this.#settings;
    this.#ssh = new ssh2.Server({
      hostKeys: [hostKey],
      ident,
      ...(crypto === 'legacy' ? { algorithms: legacyAlgorithms } : {}),
      ...(this.#settings.banner === null ? {} : { banner: this.#settings.banner }),
    });
  }

  /** Breaks every connection. */
  dropAll(): void {
    for (const over of [...this.#open.values()]) over.abort(new Error('the connection was broken'));
  }

  /** Stops listening and breaks every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.dropAll();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#connections++;
    const over = new AbortController();
    this.#open.set(socket, over);
    over.signal.addEventListener(
      'abort',
      () => {
        this.#open.delete(socket);
        socket.destroy();
      },
      { once: true },
    );
    socket.once('close', () => over.abort(new Error('the connection is over')));
    socket.setNoDelay(true);
    // A client that goes away at any moment is no fault of the switch.
    socket.on('error', () => undefined);
    if (this.reception === 'silent') return;
    if (this.reception === 'closed' || this.#overRate()) {
      this.#refused++;
      socket.destroy();
      return;
    }
    // ssh2 announces the connection within injectSocket, so the pair is known here.
    const ssh = this.#ssh!;
    ssh.once('connection', (client: Connection) => this.#serve(client, socket, over));
    ssh.injectSocket(socket);
  }

  #overRate(): boolean {
    const { connectionsPerMinute, clock } = this.#settings;
    const now = clock.monotonic();
    while (this.#recent.length > 0 && this.#recent[0]! <= now - 60_000) this.#recent.shift();
    if (connectionsPerMinute !== null && this.#recent.length >= connectionsPerMinute) return true;
    this.#recent.push(now);
    return false;
  }

  #serve(client: Connection, socket: Socket, over: AbortController): void {
    const from = socket.remotePort ?? 0;
    const broken = (): void => over.abort(new Error('the connection was broken'));
    let user = '';
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      user = context.username;
      this.#authenticate(context);
    });
    client.on('session', (accept, reject) => {
      const line = this.#settings.model.lines.open(user, socket.remoteAddress ?? '', broken);
      if (line === null) {
        this.#refused++;
        reject();
        client.end();
        return;
      }
      this.#now++;
      this.#max = Math.max(this.#max, this.#now);
      const id = ++this.#sessionNumber;
      over.signal.addEventListener(
        'abort',
        () => {
          this.#now--;
          this.#settings.model.lines.release(line);
        },
        { once: true },
      );
      let terminal = false;
      let columns = 0;
      const session = accept();
      session.on('pty', (acceptPty, _reject, info) => {
        terminal = true;
        columns = info.cols;
        acceptPty();
      });
      session.on('window-change', (acceptChange, _reject, info) => {
        columns = info.cols;
        (acceptChange as (() => void) | undefined)?.();
      });
      session.on('exec', (_accept, rejectExec) => rejectExec());
      session.on('shell', (acceptShell) => {
        const channel = acceptShell();
        const { model } = this.#settings;
        const privilege = model.running.users.get(user)?.privilege ?? 1;
        this.#runShell(id, channel, client, over.signal, broken, {
          cli: new Os9Cli(model, line, privilege, this.#settings.terminalLength),
          terminal,
          columns: () => columns,
          from,
        });
      });
    });
  }

  #runShell(
    id: number,
    channel: ServerChannel,
    client: Connection,
    signal: AbortSignal,
    broken: () => void,
    { cli, terminal, columns, from }: Pick<ShellOptions, 'cli' | 'terminal' | 'columns' | 'from'>,
  ): void {
    const { shell, chunking, acknowledge } = this.#settings;
    const output = new ChunkedOutput((bytes) => {
      if (channel.writable) channel.write(bytes);
    }, chunking);
    const editor = new LineEditor((bytes) => {
      if (terminal) output.bytes(bytes);
    });
    const idle = this.#watchIdle(signal, broken);
    channel.on('data', (bytes: Buffer) => {
      idle();
      editor.push(bytes);
    });
    channel.on('end', () => editor.close());
    channel.on('error', () => undefined);
    signal.addEventListener('abort', () => editor.close(), { once: true });
    const end = (how: 'goodbye' | 'broken'): void => {
      if (how === 'broken') return broken();
      output.flush();
      // Disconnecting at once would make clients drop output that is still on its way.
      channel.once('close', () => client.end());
      channel.exit(0);
      channel.end();
    };
    void runShell(shell, { id, from, cli, editor, output, terminal, columns, acknowledge, end, signal }).then(
      () => {
        // The client closed its side: nothing more will be typed.
        if (!signal.aborted) end('goodbye');
      },
    );
  }

  /** Ends the session after so much time without input; the returned function says that there was some. */
  #watchIdle(signal: AbortSignal, broken: () => void): () => void {
    const { clock, idleMs } = this.#settings;
    let last = clock.monotonic();
    const watch = async (): Promise<void> => {
      for (;;) {
        const left = last + idleMs - clock.monotonic();
        if (left <= 0) {
          broken();
          return;
        }
        await clock.sleep(milliseconds(left), signal);
      }
    };
    // Rejects when the session is over, which is the other way to end.
    watch().catch(() => undefined);
    return () => (last = clock.monotonic());
  }

  #authenticate(context: AuthContext): void {
    const methods = [...this.#settings.methods];
    const correct = (password: string): boolean => {
      const user = this.#settings.model.running.users.get(context.username);
      return user !== undefined && user.locked !== true && user.password === password;
    };
    const decide = (password: string): void => {
      if (correct(password)) context.accept();
      else context.reject(methods);
    };
    if (context.method === 'password' && methods.includes('password')) return decide(context.password);
    if (context.method === 'keyboard-interactive' && methods.includes('keyboard-interactive'))
      return context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => decide(answers[0] ?? ''));
    context.reject(methods);
  }
}
