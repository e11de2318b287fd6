/** Bytes that are not what the protocol says. Receivers drop such packets; it never reaches a user. */
export class MalformedPacket extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'MalformedPacket';
  }
}

/** @throws MalformedPacket when there are fewer than `length` bytes. */
export function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length < length)
    throw new MalformedPacket(`${what}: ${bytes.length} bytes, at least ${length} expected`);
}
