import { frameError } from './frame-error.ts';

export const headerBytes = 40;

/** Bits of the header's flags field. */
export const flag = {
  REQUEST: 0x01,
  STOP_ON_ERROR: 0x02,
  IN_SEQUENCE: 0x04,
  FROM_SERVER: 0x20,
  CONTROL: 0x40,
  COMPRESSED: 0x80,
} as const;

/** The fixed part of a message (`com.cloud.agent.transport.Request`). 64-bit fields are signed and regularly above 2^53. */
export interface FrameHeader {
  /** Ordinal of the version; everyone writes 0. */
  readonly version: number;
  readonly reserved: number;
  readonly flags: number;
  readonly sequence: bigint;
  /** Bytes of the uncompressed body, also when the body is compressed. */
  readonly length: number;
  /** Management server id; -1 in requests of agents. */
  readonly mgmtId: bigint;
  /** Host id; -1 before one is known. */
  readonly agentId: bigint;
  readonly via: bigint;
}

/**
 * Where the body begins. The Java parser takes version bytes 0 and 2 and refuses the rest; with 2, which nobody sends, it does not
 * read `via`.
 * @throws ServiceError `agent.frame` for any other version.
 */
export function bodyOffset(version: number): number {
  if (version === 0) return headerBytes;
  if (version === 2) return headerBytes - 8;
  throw frameError(`version byte ${version} is not one of 0, 2`);
}

/** @throws ServiceError `agent.frame` when the frame is too short or its version unknown. */
export function decodeHeader(frame: Buffer): FrameHeader {
  if (frame.length < 1) throw frameError('an empty frame has no header');
  const version = frame.readUInt8(0);
  const offset = bodyOffset(version);
  if (frame.length < offset) {
    throw frameError(`a frame of ${frame.length} bytes is shorter than its header of ${offset}`);
  }
  const agentId = frame.readBigInt64BE(24);
  return {
    version,
    reserved: frame.readUInt8(1),
    flags: frame.readUInt16BE(2),
    sequence: frame.readBigInt64BE(4),
    length: frame.readInt32BE(12),
    mgmtId: frame.readBigInt64BE(16),
    agentId,
    via: offset === headerBytes ? frame.readBigInt64BE(32) : agentId,
  };
}

/** @throws ServiceError `agent.frame` when a field does not fit its width. */
export function encodeHeader(header: FrameHeader): Buffer {
  const bytes = Buffer.alloc(bodyOffset(header.version));
  try {
    bytes.writeUInt8(header.version, 0);
    bytes.writeUInt8(header.reserved, 1);
    bytes.writeUInt16BE(header.flags, 2);
    bytes.writeBigInt64BE(header.sequence, 4);
    bytes.writeInt32BE(header.length, 12);
    bytes.writeBigInt64BE(header.mgmtId, 16);
    bytes.writeBigInt64BE(header.agentId, 24);
    if (bytes.length === headerBytes) bytes.writeBigInt64BE(header.via, 32);
  } catch (error) {
    throw frameError(`a header field does not fit its width: ${(error as Error).message}`, error);
  }
  return bytes;
}

/** Names of the set flags, in the order of their bits. */
export function flagNames(flags: number): string[] {
  return Object.entries(flag)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name);
}

/**
 * The header of the answer to a request: same version, sequence and ids, because the server finds the waiter by them and routes by
 * `mgmtId`; IN_SEQUENCE kept, because only an answer that carries it releases the host's next queued command; sender inverted.
 */
export function responseHeader(request: FrameHeader): FrameHeader {
  const kept = request.flags & (flag.STOP_ON_ERROR | flag.IN_SEQUENCE);
  const sender = (request.flags & flag.FROM_SERVER) ^ flag.FROM_SERVER;
  return { ...request, flags: kept | sender, length: 0 };
}
