import { frameError } from './frame-error.ts';
import { maxPacketBytes } from './limits.ts';
import { following } from './packet-encoder.ts';
import { HandshakeTracker, recordLength } from './tls-record.ts';

/** TLS records that came in together. */
export interface Packet {
  /** Whole TLS records, ready for the TLS engine. */
  readonly records: Buffer;
  /** `raw` during the handshake; a framed packet says whether its message goes on. */
  readonly kind: 'raw' | 'following' | 'last';
}

/** The reading half of the packet framing: fed with bytes cut anywhere, it returns whole packets. */
export class PacketDecoder {
  readonly #handshake = new HandshakeTracker();
  #pending: Buffer = Buffer.alloc(0);

  /** Whether this direction has left the raw part. */
  get framed(): boolean {
    return this.#handshake.finished;
  }

  /** Bytes of an unfinished packet; above zero at the end of the stream the peer was cut off. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** @throws ServiceError `agent.frame` when the stream is broken; nothing after that can be read. */
  decode(bytes: Buffer): Packet[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const packets: Packet[] = [];
    for (;;) {
      const packet = this.#handshake.finished ? this.#framed() : this.#raw();
      if (!packet) return packets;
      packets.push(packet);
    }
  }

  #raw(): Packet | null {
    const length = recordLength(this.#pending, 0);
    if (length === null || this.#pending.length < length) return null;
    const records = this.#take(length);
    this.#handshake.see(records.readUInt8(0));
    return { records, kind: 'raw' };
  }

  #framed(): Packet | null {
    if (this.#pending.length < 4) return null;
    // The Java reader looks at the FOLLOWING bit and at the low 16 bits as a signed number, and ignores the rest.
    const header = this.#pending.readUInt32BE(0);
    const size = this.#pending.readInt16BE(2);
    if (size <= 0 || size > maxPacketBytes) {
      throw frameError(`a packet announces ${size} bytes; 1 to ${maxPacketBytes} are allowed`);
    }
    if (this.#pending.length < 4 + size) return null;
    const records = this.#take(4 + size).subarray(4);
    for (let at = 0; at < records.length;) {
      const length = recordLength(records, at);
      if (length === null || at + length > records.length) {
        throw frameError(`a packet of ${size} bytes ends inside a TLS record`);
      }
      at += length;
    }
    return { records, kind: (header & following) !== 0 ? 'following' : 'last' };
  }

  #take(length: number): Buffer {
    const taken = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return taken;
  }
}
