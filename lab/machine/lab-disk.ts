import fs from 'node:fs';
import path from 'node:path';

export interface LabDiskOptions {
  /** Name as the ramdisk's kernel gives it: `vda`. */
  readonly name: string;
  /** Empty = a disk without a serial, as virtio disks may be. */
  readonly serial: string;
  readonly bytes: number;
  readonly model?: string;
  readonly rotational?: boolean;
  readonly removable?: boolean;
  readonly readOnly?: boolean;
  /** Whether the disk has a secure erase of its own. */
  readonly secureCapable?: boolean;
}

/** A disk: a real, sparse file of the disk's size. It survives power, and the simulator. */
export class LabDisk {
  readonly name: string;
  readonly serial: string;
  readonly bytes: number;
  readonly model: string;
  readonly rotational: boolean;
  readonly removable: boolean;
  readonly readOnly: boolean;
  readonly secureCapable: boolean;
  readonly file: string;

  constructor(options: LabDiskOptions, directory: string) {
    this.name = options.name;
    this.serial = options.serial;
    this.bytes = options.bytes;
    this.model = options.model ?? 'LABDISK';
    this.rotational = options.rotational ?? false;
    this.removable = options.removable ?? false;
    this.readOnly = options.readOnly ?? false;
    this.secureCapable = options.secureCapable ?? false;
    this.file = path.join(directory, `${options.name}.disk`);
    fs.mkdirSync(directory, { recursive: true });
    const size = fs.existsSync(this.file) ? fs.statSync(this.file).size : -1;
    if (size === -1) fs.writeFileSync(this.file, '');
    if (size !== options.bytes) fs.truncateSync(this.file, options.bytes);
  }

  /** Reads at most `length` bytes; fewer at the end of the disk. */
  read(offset: number, length: number): Buffer {
    const handle = fs.openSync(this.file, 'r');
    try {
      const buffer = Buffer.alloc(Math.max(0, Math.min(length, this.bytes - offset)));
      let done = 0;
      while (done < buffer.length) {
        const got = fs.readSync(handle, buffer, done, buffer.length - done, offset + done);
        if (got === 0) break;
        done += got;
      }
      return buffer;
    } finally {
      fs.closeSync(handle);
    }
  }

  /** @throws Error when the bytes do not fit, as a real disk answers with an I/O error. */
  write(offset: number, data: Uint8Array): void {
    if (offset < 0 || offset + data.length > this.bytes)
      throw new Error(`${this.name}: write of ${data.length} bytes at ${offset} is beyond the disk's end`);
    const handle = fs.openSync(this.file, 'r+');
    try {
      let done = 0;
      while (done < data.length) done += fs.writeSync(handle, data, done, data.length - done, offset + done);
    } finally {
      fs.closeSync(handle);
    }
  }

  zero(offset: number, length: number): void {
    const end = Math.min(this.bytes, offset + length);
    const zeros = Buffer.alloc(Math.min(zeroChunk, Math.max(0, end - offset)));
    for (let at = Math.max(0, offset); at < end; at += zeros.length)
      this.write(at, zeros.subarray(0, Math.min(zeros.length, end - at)));
  }
}

const zeroChunk = 256 * 1024;
