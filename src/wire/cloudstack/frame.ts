import { gunzipSync, gzipSync } from 'node:zlib';
import { frameError } from './frame-error.ts';
import { bodyOffset, decodeHeader, encodeHeader, flag, type FrameHeader } from './header.ts';
import { compressionThreshold, maxBodyBytes, maxFrameBytes } from './limits.ts';

/** One message: header and body text. */
export interface Frame {
  readonly header: FrameHeader;
  /** The uncompressed body: JSON. */
  readonly text: string;
}

/**
 * Writes a frame. `length` is taken from the body, and COMPRESSED is set for bodies of 8192 bytes and more (or when the caller set it).
 * @throws ServiceError `agent.frame` for an unknown version, a field out of range, or a body above the limit.
 */
export function encodeFrame(header: FrameHeader, text: string): Buffer {
  const body = Buffer.from(text, 'utf8');
  if (body.length > maxBodyBytes) {
    throw frameError(`a body of ${body.length} bytes is above the limit of ${maxBodyBytes}`);
  }
  const compressed = body.length >= compressionThreshold || (header.flags & flag.COMPRESSED) !== 0;
  const flags = compressed ? header.flags | flag.COMPRESSED : header.flags;
  return Buffer.concat([
    encodeHeader({ ...header, flags, length: body.length }),
    compressed ? gzipSync(body) : body,
  ]);
}

/**
 * Reads a frame. Like the Java parser it uses all bytes after the header as the body and heeds `length` only of compressed ones.
 * With `strictText` bytes that are not UTF-8 are an error instead of U+FFFD: a server whose JVM runs in another charset may send some,
 * and its commands are carried out all the same.
 * @throws ServiceError `agent.frame` for anything malformed or above the limits.
 */
export function decodeFrame(bytes: Buffer, options: { readonly strictText?: boolean } = {}): Frame {
  if (bytes.length > maxFrameBytes) {
    throw frameError(`a frame of ${bytes.length} bytes is above the limit of ${maxFrameBytes}`);
  }
  const header = decodeHeader(bytes);
  const wire = bytes.subarray(bodyOffset(header.version));
  const body = (header.flags & flag.COMPRESSED) === 0 ? wire : decompress(wire, header.length);
  try {
    const decoder = new TextDecoder('utf-8', { fatal: options.strictText ?? false, ignoreBOM: true });
    return { header, text: decoder.decode(body) };
  } catch (error) {
    throw frameError('the body is not UTF-8', error);
  }
}

function decompress(wire: Buffer, length: number): Buffer {
  if (length < 1 || length > maxBodyBytes) {
    throw frameError(
      `the header announces a body of ${length} bytes uncompressed; 1 to ${maxBodyBytes} are allowed`,
    );
  }
  let body: Buffer;
  try {
    // One byte more than announced, so that a longer body is told from one that fits exactly.
    body = gunzipSync(wire, { maxOutputLength: length + 1 });
  } catch (error) {
    const said = (error as NodeJS.ErrnoException).code ?? (error as Error).name;
    throw frameError(`the compressed body cannot be decompressed to ${length} bytes (${said})`, error);
  }
  if (body.length !== length) {
    throw frameError(`the compressed body has ${body.length} bytes, the header announces ${length}`);
  }
  return body;
}
