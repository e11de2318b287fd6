import { open, type FileHandle } from 'node:fs/promises';
import type { Request, Response } from 'express';
import { parseByteRange, type ByteRange } from './byte-range.ts';
import type { FileSender } from './file-sender.ts';

/** What goes by way of Node before the kernel takes over: the header with it, and the whole of a small file. */
const firstBytes = 64 * 1024;

/**
 * Two buffers of this size per transfer: one is sent while the other is read. Measured on loopback: half of it costs a fifth
 * of the throughput, twice of it wins nothing; and hundreds of machines may load at once.
 */
const chunkBytes = 512 * 1024;

export interface ServedFile {
  readonly path: string;
  /** Strong validator without quotes, or null to make one from size and time of change. */
  readonly tag: string | null;
  /** Size that the file must have, or null for whatever it has. */
  readonly bytes: number | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** The file is absent, or not what it must be: nothing was sent. */
export class FileUnavailable extends Error {}

/**
 * Answers GET and HEAD with a file: single ranges, strong ETag, If-Range (RFC 9110 sections 8.8.3, 13.1.5, 14). The client's pace
 * is the pace of reading. A client that goes away, or a file that shrinks meanwhile, breaks the connection.
 * @param sender sends what is large, where there is one.
 * @throws FileUnavailable before anything is sent.
 */
export async function sendFile(
  req: Request,
  res: Response,
  file: ServedFile,
  sender: FileSender | null = null,
): Promise<void> {
  const handle = await opened(file.path);
  try {
    const { size, mtimeNs } = await handle.stat({ bigint: true });
    const total = Number(size);
    if (file.bytes !== null && total !== file.bytes) {
      throw new FileUnavailable(`${file.path} has ${total} bytes instead of ${file.bytes}`);
    }
    const etag = `"${file.tag ?? `${total.toString(16)}-${mtimeNs.toString(16)}`}"`;
    res.set({
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag,
      ...file.headers,
    });
    // A range is of use only to one who has the beginning of this very file.
    const ifRange = req.get('if-range');
    const range = ifRange === undefined || ifRange === etag ? parseByteRange(req.get('range'), total) : null;
    if (range === 'unsatisfiable') {
      res.status(416).set('content-range', `bytes */${total}`).end();
      return;
    }
    const sent: ByteRange = range ?? { start: 0, end: total - 1 };
    if (range) res.status(206).set('content-range', `bytes ${range.start}-${range.end}/${total}`);
    res.set('content-length', String(sent.end - sent.start + 1));
    if (req.method === 'HEAD') {
      res.end();
      return;
    }
    if (sender && sent.end - sent.start >= firstBytes) await sendByKernel(sender, handle, res, sent);
    else await sendBytes(handle, res, sent);
  } finally {
    await handle.close();
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new FileUnavailable(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The header and the first bytes as Node does it; when they are out, it is this answer's turn on the connection, and the rest follows. */
async function sendByKernel(
  sender: FileSender,
  file: FileHandle,
  res: Response,
  { start, end }: ByteRange,
): Promise<void> {
  const gone = new AbortController();
  const isGone = (): boolean => res.closed;
  const written = new SendSlot(firstBytes);
  res.once('close', () => {
    gone.abort();
    written.release();
  });
  const { bytesRead } = await file.read(written.buffer, 0, firstBytes, start);
  if (isGone()) return;
  if (bytesRead === 0) {
    res.destroy();
    return;
  }
  written.send(res, bytesRead);
  await written.free;
  if (isGone() || !res.socket) return;
  const rest: ByteRange = { start: start + bytesRead, end };
  const outcome = await sender.send(res.socket, file, rest, gone.signal);
  if (isGone()) return;
  if (outcome === 'sent') res.end();
  else if (outcome === 'refused') await sendBytes(file, res, rest);
  else res.destroy();
}

/** Positional reads into two buffers by turns: no stream, no allocation per chunk, no copy. */
async function sendBytes(file: FileHandle, res: Response, { start, end }: ByteRange): Promise<void> {
  const length = end - start + 1;
  const slots = [0, 1].map(() => new SendSlot(Math.min(chunkBytes, length)));
  let gone = res.destroyed;
  res.once('close', () => {
    gone = true;
    for (const slot of slots) slot.release();
  });
  for (let at = start, turn = 0; at <= end; turn ^= 1) {
    const slot = slots[turn]!;
    await slot.free;
    if (gone) return;
    const { bytesRead } = await file.read(slot.buffer, 0, Math.min(slot.buffer.length, end - at + 1), at);
    if (bytesRead === 0) {
      // The length is promised already: only a broken connection tells the client that this is not all.
      res.destroy();
      return;
    }
    slot.send(res, bytesRead);
    at += bytesRead;
  }
  for (const slot of slots) await slot.free;
  if (!gone) res.end();
}

/** A buffer that is free again when the kernel has taken what was written from it. */
class SendSlot {
  readonly buffer: Buffer;
  free: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
  }

  send(res: Response, bytes: number): void {
    this.free = new Promise((resolve) => (this.#release = resolve));
    res.write(this.buffer.subarray(0, bytes), () => this.release());
  }

  /** A connection that is gone may never call back. */
  release(): void {
    this.#release();
  }
}
