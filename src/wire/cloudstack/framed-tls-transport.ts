import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { LoopTurns } from './loop-turns.ts';
import { PacketDecoder } from './packet-decoder.ts';
import { PacketEncoder } from './packet-encoder.ts';

/**
 * The stream between a TCP socket and Node's TLS: to the TLS engine it looks like a plain connection, on the wire it speaks the packet
 * framing. Serves both ends.
 */
export class FramedTlsTransport extends Duplex {
  /** Set by the sender before it writes a chunk of a message that has more chunks. */
  more = false;
  /** Called when the last packet of a message was handed to the TLS engine, which decrypts it within the call that hands it over. */
  onMessageEnd: () => void = () => undefined;
  readonly #socket: Socket;
  readonly #encoder = new PacketEncoder();
  readonly #decoder = new PacketDecoder();
  /** What the socket said while bytes of the handshake wait for their turn; null while none wait. */
  #held: (() => void)[] | null = null;

  /** `turns`: those of the event loop in which handshakes are carried on; without them each goes on as its bytes come. */
  constructor(socket: Socket, turns: LoopTurns | null = null) {
    super();
    this.#socket = socket;
    socket.on('data', (bytes) => {
      if (turns && !this.#decoder.framed) this.#receiveInTurn(turns, bytes);
      else this.#receive(bytes);
    });
    socket.on('error', (error) => this.#inOrder(() => this.destroy(error)));
    socket.on('end', () => this.#inOrder(() => this.push(null)));
    socket.on('close', () => this.#inOrder(() => this.destroy()));
  }

  /** Bytes of a packet that the peer began and did not finish. */
  get pendingBytes(): number {
    return this.#decoder.pendingBytes;
  }

  override _read(): void {
    // Nothing to ask for: bytes are pushed as they come, and the link bounds how many one message may have.
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    let wire: Buffer;
    try {
      wire = this.#encoder.encode(bytes, this.more);
    } catch (error) {
      done(error as Error);
      return;
    }
    if (wire.length === 0) done();
    else this.#socket.write(wire, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  /** Nothing more is read before these bytes had their turn. */
  #receiveInTurn(turns: LoopTurns, bytes: Buffer): void {
    this.#socket.pause();
    this.#held = [];
    turns.run(() => {
      const held = this.#held!;
      this.#held = null;
      if (!this.destroyed) this.#receive(bytes);
      for (const step of held) step();
      this.#socket.resume();
    });
  }

  /** An alert in the last bytes tells more than the end that follows it. */
  #inOrder(step: () => void): void {
    if (this.#held) this.#held.push(step);
    else step();
  }

  #receive(bytes: Buffer): void {
    try {
      for (const packet of this.#decoder.decode(bytes)) {
        if (this.destroyed) return;
        this.push(packet.records);
        if (packet.kind !== 'last') continue;
        // Whatever was not consumed at once is drained here, so that the boundary is known when all of the message is decrypted.
        while (this.readableLength > 0) this.read();
        this.onMessageEnd();
      }
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}
