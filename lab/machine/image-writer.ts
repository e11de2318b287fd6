import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { LabDisk } from './lab-disk.ts';

export type ImageEncoding = 'raw' | 'gzip' | 'zstd';

/** zstd is in Node from 22.15 on. */
const zstd = (zlib as unknown as { createZstdDecompress?: () => Transform }).createZstdDecompress;

/** Encodings that this machine's ramdisk can unpack. */
export const knownEncodings: readonly ImageEncoding[] = zstd ? ['raw', 'gzip', 'zstd'] : ['raw', 'gzip'];

/** Writes a stream of stored bytes to a disk from its beginning, unpacked, and takes the checksum of what came in. */
export class ImageWriter {
  readonly #hash: Hash = createHash('sha256');
  readonly #disk: LabDisk;
  readonly #unpack: Transform | null;
  #stored = 0;
  #written = 0;
  #failure: Error | null = null;

  /** @throws Error for an encoding that is not in {@link knownEncodings}. */
  constructor(disk: LabDisk, encoding: ImageEncoding) {
    this.#disk = disk;
    if (!knownEncodings.includes(encoding)) throw new Error(`this ramdisk cannot unpack ${encoding}`);
    this.#unpack = encoding === 'gzip' ? zlib.createGunzip() : encoding === 'zstd' ? zstd!() : null;
    this.#unpack?.on('data', (chunk: Buffer) => this.#write(chunk));
    this.#unpack?.on('error', (error) => (this.#failure ??= error));
  }

  /** Stored bytes taken so far: where a broken transfer goes on. */
  get stored(): number {
    return this.#stored;
  }

  get written(): number {
    return this.#written;
  }

  /** Why bytes did not reach the disk: it is full, or they do not unpack. The checksum goes on regardless. */
  get failure(): Error | null {
    return this.#failure;
  }

  async take(chunk: Buffer): Promise<void> {
    this.#hash.update(chunk);
    this.#stored += chunk.length;
    if (!this.#unpack) this.#write(chunk);
    else if (!this.#failure && !this.#unpack.write(chunk)) await this.#settled('drain');
  }

  /** Ends the stream; gives the SHA-256 of the stored bytes, hex. */
  async finish(): Promise<string> {
    if (this.#unpack && !this.#failure) {
      this.#unpack.end();
      await this.#settled('end');
    }
    return this.#hash.digest('hex');
  }

  discard(): void {
    this.#unpack?.destroy();
  }

  async #settled(event: 'drain' | 'end'): Promise<void> {
    const stream = this.#unpack!;
    if (stream.destroyed) return;
    // An unpacking error ends the wait as well; it is kept by the listener of the constructor.
    await once(stream, event).catch(() => undefined);
  }

  #write(chunk: Buffer): void {
    if (this.#failure) return;
    try {
      this.#disk.write(this.#written, chunk);
      this.#written += chunk.length;
    } catch (error) {
      this.#failure = error as Error;
    }
  }
}
