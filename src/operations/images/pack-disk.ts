import { createReadStream, type ReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { StoredImage } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { writeImageFile, type WrittenFile } from './image-file.ts';
import { runProgram } from './run-program.ts';

const chunkBytes = 1024 * 1024;

export interface PackDisk {
  readonly raw: string;
  /** Made here; must not exist. */
  readonly packed: string;
  /** The program; without it the disk is packed by gzip. */
  readonly zstd: string;
  /** Told how many bytes of the raw disk were read so far. */
  readonly onRead: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Compresses a raw disk for the library. @throws ServiceError `image.storage`, `image.conversion` */
export async function packDisk(
  work: PackDisk,
): Promise<WrittenFile & { readonly encoding: StoredImage['encoding'] }> {
  const byZstd = await withZstd(work);
  if (byZstd) return { encoding: 'zstd', ...byZstd };
  return { encoding: 'gzip', ...(await withGzip(work)) };
}

/** Null without the program. */
async function withZstd(work: PackDisk): Promise<WrittenFile | null> {
  const disk = createReadStream(work.raw, { highWaterMark: chunkBytes });
  let written: WrittenFile | null = null;
  try {
    const end = await runProgram(work.zstd, ['-qc', '-T0'], {
      stdin: disk,
      stdout: async (output) => {
        written = await writeImageFile(work.packed, watched(output, disk, work), work.signal);
      },
      signal: work.signal,
    });
    if (!end) return null;
    if (end.code === 0) return written;
    throw new ServiceError({
      code: 'image.conversion',
      what: 'the converted image cannot be compressed',
      said: end.said || `zstd ended with ${end.code ?? end.by}`,
      remedy: 'try again; see whether there is memory enough',
    });
  } finally {
    disk.destroy();
  }
}

async function withGzip(work: PackDisk): Promise<WrittenFile> {
  const disk = createReadStream(work.raw, { highWaterMark: chunkBytes });
  let written: WrittenFile | null = null;
  // Of several failures the pipeline may tell that of a stream that was only closed for it.
  let unwritten: unknown = null;
  try {
    await pipeline(
      disk,
      createGzip({ chunkSize: chunkBytes }),
      async (output: AsyncIterable<Buffer>) => {
        try {
          written = await writeImageFile(work.packed, watched(output, disk, work), work.signal);
        } catch (error) {
          throw (unwritten = error);
        }
      },
      { signal: work.signal },
    );
  } catch (error) {
    work.signal?.throwIfAborted();
    throw unwritten ?? error;
  }
  return written!;
}

async function* watched(
  output: AsyncIterable<Buffer>,
  disk: ReadStream,
  { onRead }: PackDisk,
): AsyncGenerator<Buffer> {
  for await (const chunk of output) {
    onRead(disk.bytesRead);
    yield chunk;
  }
}
