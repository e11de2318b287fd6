import { createHash } from 'node:crypto';
import { seededRandom } from '../bmc/seeded-random.ts';
import type { LabDisk } from './lab-disk.ts';

/**
 * The lab's disk image: `LABIMAGE`, the length of the header as 32 bits big endian, the header as JSON, and noise up to
 * the image's size, of which the header holds the SHA-256. The noise makes an install take time and a torn one show.
 */
const magic = Buffer.from('LABIMAGE', 'ascii');
const longestHeader = 4096;

export interface LabImageOptions {
  readonly name: string;
  /** Whether the operating system can bond NICs. */
  readonly canBond: boolean;
  /** Size of the whole image. */
  readonly bytes: number;
  /** Of the noise; default 1. */
  readonly seed?: number;
}

export interface LabImageHeader {
  readonly name: string;
  readonly canBond: boolean;
  readonly bytes: number;
  /** SHA-256 of the noise, hex. */
  readonly noise: string;
}

/** The bytes of a raw image. */
export function makeLabImage(options: LabImageOptions): Buffer {
  const header = (noise: string): Buffer => {
    const json = Buffer.from(
      JSON.stringify({ name: options.name, canBond: options.canBond, bytes: options.bytes, noise }),
    );
    const length = Buffer.alloc(4);
    length.writeUInt32BE(json.length);
    return Buffer.concat([magic, length, json]);
  };
  const noiseBytes = options.bytes - header('0'.repeat(64)).length;
  if (noiseBytes < 0) throw new Error(`an image of ${options.bytes} bytes has no room for its header`);
  const random = seededRandom(options.seed ?? 1);
  const noise = Buffer.alloc(noiseBytes);
  for (let at = 0; at < noiseBytes; at++) noise[at] = Math.floor(random() * 256);
  return Buffer.concat([header(createHash('sha256').update(noise).digest('hex')), noise]);
}

/** The header of the image on a disk, whole or not; null when there is none. */
export function readImageHeader(disk: LabDisk): LabImageHeader | null {
  return headerAt(disk.read(0, longestHeader))?.header ?? null;
}

/** The image on a disk when it would boot: header and every byte behind it as they were made; null otherwise. */
export function readBootableImage(disk: LabDisk): LabImageHeader | null {
  const found = headerAt(disk.read(0, longestHeader));
  if (!found || found.header.bytes > disk.bytes) return null;
  const noise = disk.read(found.end, found.header.bytes - found.end);
  return createHash('sha256').update(noise).digest('hex') === found.header.noise ? found.header : null;
}

function headerAt(start: Buffer): { header: LabImageHeader; end: number } | null {
  if (!start.subarray(0, magic.length).equals(magic)) return null;
  const length = start.readUInt32BE(magic.length);
  const end = magic.length + 4 + length;
  if (end > start.length) return null;
  try {
    return { header: JSON.parse(start.toString('utf8', magic.length + 4, end)) as LabImageHeader, end };
  } catch {
    return null;
  }
}
