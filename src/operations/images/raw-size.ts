import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip, type Gunzip } from 'node:zlib';
import * as zlib from 'node:zlib';
import type { StoredImage } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

const chunkBytes = 256 * 1024;

/**
 * Bytes of a stored image after unpacking, found by unpacking it all, which also proves that it can be unpacked; null
 * when nothing here can unpack it (zstd without the `zstd` program on a Node.js without zstd).
 * @throws ServiceError `image.format` when the file is damaged.
 */
export async function measureRawBytes(
  path: string,
  encoding: StoredImage['encoding'],
  storedBytes: number,
  signal?: AbortSignal,
): Promise<number | null> {
  switch (encoding) {
    case 'raw':
      return storedBytes;
    case 'gzip':
      return measureByStream(path, createGunzip({ chunkSize: chunkBytes }), signal);
    case 'zstd':
      return (await measureByProgram(path, signal)) ?? measureByNodeZstd(path, signal);
  }
}

async function measureByStream(path: string, unpack: Gunzip, signal?: AbortSignal): Promise<number> {
  let bytes = 0;
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: chunkBytes }),
      unpack,
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) bytes += chunk.length;
      },
      { signal },
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw damaged(error instanceof Error ? error.message : String(error));
  }
  return bytes;
}

/** Through `zstd -dc`, with its usual memory limit: what it cannot unpack, the ramdisk could not either. Null without the program. */
async function measureByProgram(path: string, signal?: AbortSignal): Promise<number | null> {
  const file = await open(path, 'r');
  try {
    const child = spawn('zstd', ['-dcq'], {
      stdio: [file.fd, 'pipe', 'pipe'],
      ...(signal ? { signal } : {}),
    });
    let bytes = 0;
    let said = '';
    child.stdout!.on('data', (chunk: Buffer) => (bytes += chunk.length));
    child.stderr!.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-500)));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw damaged(said.trim() || `zstd ended with ${code ?? 'a signal'}`);
    return bytes;
  } catch (error) {
    signal?.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  } finally {
    await file.close();
  }
}

/** Node.js has zstd from 22.15 on. */
async function measureByNodeZstd(path: string, signal?: AbortSignal): Promise<number | null> {
  const create = (zlib as { createZstdDecompress?: () => Gunzip }).createZstdDecompress;
  return create ? measureByStream(path, create(), signal) : null;
}

function damaged(said: string): ServiceError {
  return new ServiceError({
    code: 'image.format',
    what: 'the image file cannot be unpacked',
    said,
    remedy: 'compress it again and upload it again',
  });
}
