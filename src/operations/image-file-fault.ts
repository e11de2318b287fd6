import { stat } from 'node:fs/promises';
import type { ImageFile } from './images/image-library.ts';

/**
 * What is wrong with the stored file of an image, as far as its size tells; null = nothing. To be asked before a machine is touched:
 * a machine that already waits for the image can only wait until it is given up.
 */
export async function imageFileFault(
  images: { file(name: string): Promise<ImageFile | null> },
  name: string,
): Promise<string | null> {
  const file = await images.file(name);
  if (!file) return `there is no image "${name}"`;
  let size: number;
  try {
    size = (await stat(file.path)).size;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT'
      ? `the file of image "${name}" is gone from the server`
      : `the file of image "${name}" cannot be read on the server (${code ?? 'unknown reason'})`;
  }
  if (size === file.storedBytes) return null;
  return `the file of image "${name}" has ${size} bytes on the server instead of ${file.storedBytes}`;
}
