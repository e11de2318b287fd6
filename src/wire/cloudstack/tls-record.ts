import { frameError } from './frame-error.ts';
import { maxRecordBody } from './limits.ts';

const recordHeaderBytes = 5;

/** TLS content types. */
export const recordType = { CHANGE_CIPHER_SPEC: 20, ALERT: 21, HANDSHAKE: 22, APPLICATION_DATA: 23 } as const;

/**
 * Length of the TLS record that begins at `offset`, its 5-byte header included; null while that header is not complete.
 * @throws ServiceError `agent.frame` when these bytes cannot be a TLS record.
 */
export function recordLength(bytes: Buffer, offset: number): number | null {
  if (bytes.length - offset < 1) return null;
  const type = bytes.readUInt8(offset);
  if (type < recordType.CHANGE_CIPHER_SPEC || type > recordType.APPLICATION_DATA) {
    throw frameError(`byte ${type} does not begin a TLS record`);
  }
  if (bytes.length - offset < recordHeaderBytes) return null;
  const major = bytes.readUInt8(offset + 1);
  const body = bytes.readUInt16BE(offset + 3);
  if (major !== 3 || body > maxRecordBody) {
    throw frameError(`a TLS record of version ${major} and ${body} bytes is not acceptable`);
  }
  return recordHeaderBytes + body;
}

/**
 * Where the raw part of one direction ends: it covers everything up to and including the first handshake record after the
 * ChangeCipherSpec, which is the Finished message, in full and in resumed handshakes alike.
 */
export class HandshakeTracker {
  #cipherChanged = false;
  #finished = false;

  get finished(): boolean {
    return this.#finished;
  }

  see(type: number): void {
    if (type === recordType.CHANGE_CIPHER_SPEC) this.#cipherChanged = true;
    else if (type === recordType.HANDSHAKE && this.#cipherChanged) this.#finished = true;
  }
}
