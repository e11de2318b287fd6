import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { stored } from './stored.ts';

/** A file that was written here. */
export interface WrittenFile {
  readonly storedBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/**
 * Writes the chunks to a new file, durable at the end.
 * @throws ServiceError `image.storage`; what the chunks throw
 */
export async function writeImageFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<WrittenFile> {
  const hash = createHash('sha256');
  const file = await stored(() => open(path, 'wx', 0o640));
  try {
    let storedBytes = 0;
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      hash.update(chunk);
      await stored(() => file.appendFile(chunk));
      storedBytes += chunk.length;
    }
    await stored(() => file.sync());
    return { storedBytes, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}
