import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, type Gunzip } from 'node:zlib';
import * as zlib from 'node:zlib';
import type { StoredImage } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { magicBytes, whyNoDisk } from './image-format.ts';
import { runProgram } from './run-program.ts';

const chunkBytes = 256 * 1024;

/**
 * Bytes of a stored image after unpacking, found by unpacking it all, which also proves that it can be unpacked; null
 * when nothing here can unpack it (zstd without the `zstd` program on a Node.js without zstd).
 * @param zstd the program
 * @throws ServiceError `image.format` when the file is damaged, or is no disk when it is unpacked.
 */
export async function measureRawBytes(
  path: string,
  encoding: StoredImage['encoding'],
  storedBytes: number,
  zstd: string,
  signal?: AbortSignal,
): Promise<number | null> {
  switch (encoding) {
    case 'raw':
      return storedBytes;
    case 'gzip':
      return measureByStream(path, createGunzip({ chunkSize: chunkBytes }), signal);
    case 'zstd':
      return (await measureByProgram(path, zstd, signal)) ?? measureByNodeZstd(path, signal);
  }
}

async function measureByStream(path: string, unpack: Gunzip, signal?: AbortSignal): Promise<number> {
  const measure = new Measure();
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: chunkBytes }),
      unpack,
      (chunks: AsyncIterable<Buffer>) => measure.take(chunks),
      { signal },
    );
  } catch (error) {
    signal?.throwIfAborted();
    // Of several failures the pipeline may tell that of a stream that was only closed for it.
    if (measure.refusal) throw measure.refusal;
    throw damaged(error instanceof Error ? error.message : String(error));
  }
  return measure.bytes;
}

/** Through `zstd -dc`, with its usual memory limit: what it cannot unpack, the ramdisk could not either. Null without the program. */
async function measureByProgram(path: string, zstd: string, signal?: AbortSignal): Promise<number | null> {
  const measure = new Measure();
  const file = await open(path, 'r');
  try {
    const end = await runProgram(zstd, ['-dcq'], {
      stdin: file.fd,
      stdout: (output: Readable) => measure.take(output),
      signal,
    });
    if (!end) return null;
    if (end.code !== 0) throw damaged(end.said || `zstd ended with ${end.code ?? end.by}`);
    return measure.bytes;
  } finally {
    await file.close();
  }
}

/** Node.js has zstd from 22.15 on. */
async function measureByNodeZstd(path: string, signal?: AbortSignal): Promise<number | null> {
  const create = (zlib as { createZstdDecompress?: () => Gunzip }).createZstdDecompress;
  return create ? measureByStream(path, create(), signal) : null;
}

/** Counts what comes, and looks at how it begins; what is shorter than any magic is a raw disk. */
class Measure {
  bytes = 0;
  /** Why no more is taken. */
  refusal: ServiceError | null = null;

  async take(chunks: AsyncIterable<Buffer>): Promise<void> {
    let start = Buffer.alloc(0);
    for await (const chunk of chunks) {
      this.bytes += chunk.length;
      if (start.length === magicBytes) continue;
      start = Buffer.concat([start, chunk.subarray(0, magicBytes - start.length)]);
      if (start.length < magicBytes) continue;
      this.refusal = whyNoDisk(start);
      if (this.refusal) throw this.refusal;
    }
  }
}

function damaged(said: string): ServiceError {
  return new ServiceError({
    code: 'image.format',
    what: 'the image file cannot be unpacked',
    said,
    remedy: 'compress it again and upload it again',
  });
}
