import { frameError } from './frame-error.ts';
import { maxPacketBytes } from './limits.ts';
import { HandshakeTracker, recordLength, recordType } from './tls-record.ts';

export const following = 0x0001_0000;

/**
 * The writing half of the packet framing (`Link.java`): TLS records go out raw until the handshake of this direction is finished; from
 * then on each one behind a 4-byte header of FOLLOWING bit and size.
 */
export class PacketEncoder {
  readonly #handshake = new HandshakeTracker();
  #pending: Buffer = Buffer.alloc(0);

  /** Whether this direction has left the raw part. */
  get framed(): boolean {
    return this.#handshake.finished;
  }

  /**
   * Takes bytes from the TLS engine, cut anywhere, and returns what goes on the wire. `more` says that the records belong to a message
   * that goes on after them. Alerts after the handshake are dropped: the Java side closes TCP without close_notify and expects none.
   * @throws ServiceError `agent.frame` when the engine makes a record that the peer could not take.
   */
  encode(bytes: Buffer, more: boolean): Buffer {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const out: Buffer[] = [];
    let at = 0;
    for (;;) {
      const length = recordLength(this.#pending, at);
      if (length === null || this.#pending.length - at < length) break;
      const record = this.#pending.subarray(at, at + length);
      at += length;
      this.#emit(record, more, out);
    }
    this.#pending = this.#pending.subarray(at);
    return Buffer.concat(out);
  }

  #emit(record: Buffer, more: boolean, out: Buffer[]): void {
    const type = record.readUInt8(0);
    if (!this.#handshake.finished) {
      this.#handshake.see(type);
      out.push(record);
      return;
    }
    if (type === recordType.ALERT) return;
    if (record.length > maxPacketBytes) {
      throw frameError(`a packet of ${record.length} bytes is above the limit of ${maxPacketBytes}`);
    }
    const header = Buffer.alloc(4);
    header.writeUInt32BE((more ? following : 0) | record.length);
    out.push(header, record);
  }
}
