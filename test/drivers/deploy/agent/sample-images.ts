import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { which } from './ramdisk-sandbox.ts';

export const mebibyte = 1024 * 1024;

/** A whole-disk image with a GPT and one partition of random bytes from 1 MiB on. */
export function gptImage(bytes = 6 * mebibyte): Buffer {
  return partitioned(bytes, (file) =>
    execFileSync(which('sgdisk'), ['-n', `1:2048:${bytes / 512 - 2049}`, '-t', '1:8300', file], {
      stdio: 'ignore',
    }),
  );
}

/** The same with an MBR partition table. */
export function mbrImage(bytes = 4 * mebibyte): Buffer {
  return partitioned(bytes, (file) =>
    execFileSync(which('sfdisk'), ['-q', file], { input: `2048,${bytes / 512 - 4096},83\n` }),
  );
}

/** Of a partitioned image, what no partition tool touches. */
export function content(image: Buffer): Buffer {
  return image.subarray(mebibyte, image.length - mebibyte);
}

export function zstd(bytes: Buffer): Buffer {
  return execFileSync(which('zstd'), ['-qc'], { input: bytes, maxBuffer: 256 * mebibyte });
}

function partitioned(bytes: number, partition: (file: string) => void): Buffer {
  const folder = mkdtempSync(path.join(tmpdir(), 'csbm-image-'));
  const file = path.join(folder, 'image');
  try {
    writeFileSync(
      file,
      Buffer.concat([Buffer.alloc(mebibyte), randomBytes(bytes - 2 * mebibyte), Buffer.alloc(mebibyte)]),
    );
    partition(file);
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
