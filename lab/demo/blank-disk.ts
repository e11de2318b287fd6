import { closeSync, openSync, readSync } from 'node:fs';

const piece = 2 ** 20;

/** Whether a file holds nothing but zero bytes. */
export function isBlank(file: string): boolean {
  const handle = openSync(file, 'r');
  const buffer = Buffer.alloc(piece);
  const zeros = Buffer.alloc(piece);
  try {
    for (;;) {
      const got = readSync(handle, buffer, 0, piece, null);
      if (got === 0) return true;
      if (buffer.compare(zeros, 0, got, 0, got) !== 0) return false;
    }
  } finally {
    closeSync(handle);
  }
}
