import type { Socket } from 'node:net';
import {
  connect,
  createSecureContext,
  TLSSocket,
  type ConnectionOptions,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocketOptions,
} from 'node:tls';
import { frameError } from './frame-error.ts';
import { FramedTlsTransport } from './framed-tls-transport.ts';
import { maxFrameBytes, maxFrameRecords, maxPlaintextChunk, maxQueuedBytes } from './limits.ts';
import type { LoopTurns } from './loop-turns.ts';

/** What the owner of a link hears. */
export interface LinkEvents {
  /** One whole message: header and body. */
  message(bytes: Buffer): void;
  /** The link is gone, once; null when it was closed in order. A message that was cut off is an error. */
  closed(error: Error | null): void;
}

/**
 * TLS 1.3 sends session tickets after the handshake as raw records, which the framing cannot carry; renegotiation would do the same.
 * Node refuses versions below 1.2 by itself.
 */
const tlsVersion = { maxVersion: 'TLSv1.2' } as const;

/** One framed TLS connection, either end: messages in, messages out. */
export class FramedTlsLink {
  readonly #tls: TLSSocket;
  readonly #transport: FramedTlsTransport;
  readonly #events: LinkEvents;
  readonly #secured: Promise<void>;
  #chunks: Buffer[] = [];
  #received = 0;
  #sending: Promise<void> = Promise.resolve();
  #queued = 0;
  #error: Error | null = null;
  #closed = false;

  private constructor(
    tls: TLSSocket,
    transport: FramedTlsTransport,
    secureEvent: string,
    events: LinkEvents,
  ) {
    this.#tls = tls;
    this.#transport = transport;
    this.#events = events;
    transport.onMessageEnd = () => this.#endOfMessage();
    transport.on('error', (error) => this.destroy(error));
    transport.on('close', () => this.destroy());
    tls.on('data', (chunk: Buffer) => this.#receive(chunk));
    // After the handshake Node reports a TLS error without closing.
    tls.on('error', (error: Error) => this.destroy(error));
    tls.on('end', () => this.destroy());
    tls.on('close', () => this.#end());
    this.#secured = new Promise((resolve, reject) => {
      tls.once(secureEvent, () => {
        tls.disableRenegotiation();
        resolve();
      });
      tls.once('close', () =>
        reject(this.#error ?? new Error('the connection was closed during the handshake')),
      );
    });
    // Whoever does not wait for the handshake hears of its failure by `closed`.
    this.#secured.catch(() => undefined);
  }

  /** Keys and certificates for many links, as `secureContext` of either end: reading them for each one costs as much as its handshake. */
  static context(options: SecureContextOptions): SecureContext {
    return createSecureContext({ ...options, ...tlsVersion });
  }

  /**
   * The agent's end, over a connected socket. The caller verifies the peer after {@link secured} and before it sends anything.
   * `turns`: for whoever opens many links at once, so that their handshakes do not fall together.
   */
  static client(
    socket: Socket,
    options: ConnectionOptions,
    events: LinkEvents,
    turns: LoopTurns | null = null,
  ): FramedTlsLink {
    const transport = new FramedTlsTransport(socket, turns);
    const tls = connect({ ...options, ...tlsVersion, socket: transport, rejectUnauthorized: false });
    return new FramedTlsLink(tls, transport, 'secureConnect', events);
  }

  /** The management server's end, over an accepted socket. */
  static server(socket: Socket, options: TLSSocketOptions, events: LinkEvents): FramedTlsLink {
    const transport = new FramedTlsTransport(socket);
    const tls = new TLSSocket(transport, { ...options, ...tlsVersion, isServer: true });
    return new FramedTlsLink(tls, transport, 'secure', events);
  }

  /** Resolves when the handshake is done; rejects with its failure. */
  secured(): Promise<void> {
    return this.#secured;
  }

  /** The peer's certificate in DER, or null when it showed none. */
  peerCertificate(): Buffer | null {
    return this.#tls.getPeerX509Certificate()?.raw ?? null;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends one message; messages do not mix. Each chunk is written after the one before it went out, so that each becomes one TLS record
   * whose FOLLOWING bit is known.
   * A peer that lets more wait than there is room for loses the link.
   * @throws Error when the link is gone.
   */
  send(message: Buffer): Promise<void> {
    this.#queued += message.length;
    if (this.#queued > maxQueuedBytes)
      this.destroy(frameError(`the peer does not read: ${this.#queued} bytes wait for it`));
    const turn = this.#sending
      .then(() => this.#sendNow(message))
      .finally(() => {
        this.#queued -= message.length;
      });
    this.#sending = turn.catch(() => undefined);
    return turn;
  }

  /** Closes our direction after everything that was sent; `closed` comes when the peer has closed too, so the owner bounds the wait. */
  async end(): Promise<void> {
    await this.#sending;
    this.#tls.end();
  }

  /** Closes at once. */
  destroy(error?: Error): void {
    if (error) this.#error ??= error;
    this.#tls.destroy();
    this.#transport.destroy();
  }

  async #sendNow(message: Buffer): Promise<void> {
    for (let at = 0; at < message.length; at += maxPlaintextChunk) {
      const chunk = message.subarray(at, at + maxPlaintextChunk);
      await new Promise<void>((resolve, reject) => {
        if (this.#closed || this.#tls.destroyed) {
          reject(this.#error ?? new Error('the link is closed'));
          return;
        }
        const onClose = (): void => reject(this.#error ?? new Error('the link was closed while sending'));
        this.#tls.once('close', onClose);
        this.#transport.more = at + chunk.length < message.length;
        this.#tls.write(chunk, (error) => {
          this.#tls.off('close', onClose);
          if (error) reject(error);
          else resolve();
        });
      });
    }
  }

  #receive(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#received > maxFrameBytes) {
      this.destroy(frameError(`a message is longer than the limit of ${maxFrameBytes} bytes`));
      return;
    }
    if (this.#chunks.length >= maxFrameRecords) {
      this.destroy(frameError(`a message comes in more than ${maxFrameRecords} TLS records`));
      return;
    }
    this.#chunks.push(chunk);
  }

  #endOfMessage(): void {
    while (this.#tls.readableLength > 0) this.#tls.read();
    const message = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#received = 0;
    // An alert arrives framed too and leaves no plaintext.
    if (message.length > 0 && !this.#closed && !this.#tls.destroyed) this.#events.message(message);
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#transport.destroy();
    if (!this.#error && (this.#chunks.length > 0 || this.#transport.pendingBytes > 0)) {
      this.#error = frameError('the connection ended inside a message');
    }
    this.#events.closed(this.#error);
  }
}
