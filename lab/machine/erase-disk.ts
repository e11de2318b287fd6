import { firstBootBytes } from './first-boot.ts';
import type { LabDisk } from './lab-disk.ts';

export type Grade = 'quick' | 'full' | 'secure';

/** One disk of an erase report, as the boot protocol has it (section 4). */
export interface ErasedDisk {
  readonly name: string;
  readonly serial: string;
  readonly bytes: number;
  readonly grade: Grade;
  readonly method: string;
  readonly secureCapable: boolean;
  readonly signaturesLeft: number;
  readonly samples: number;
  readonly dirtySamples: number;
  readonly seconds: number;
}

const mebibyte = 1024 * 1024;
const sampleCount = 64;
const sampleBytes = 4096;
const step = 256 * 1024;

/** How much of each end a quick erase zeroes: 8 MiB, or a quarter of a disk that is smaller than four times that. */
export function quickBytes(disk: LabDisk): number {
  return Math.min(8 * mebibyte, Math.floor(disk.bytes / 4));
}

/**
 * Erases for real and looks at the disk afterwards. A secure erase of a disk that has none becomes a full overwrite.
 * @param between called with the share done, 0 to 1, after each piece: may wait, or stop the erase by throwing.
 */
export async function eraseDisk(
  disk: LabDisk,
  grade: Grade,
  between: (done: number, bytes: number) => Promise<void>,
  skipsWriting = false,
): Promise<Omit<ErasedDisk, 'seconds'>> {
  const reached = grade === 'secure' && !disk.secureCapable ? 'full' : grade;
  const parts: readonly (readonly [from: number, to: number])[] =
    reached === 'quick'
      ? [
          [0, quickBytes(disk)],
          [disk.bytes - quickBytes(disk), disk.bytes],
        ]
      : [[0, disk.bytes]];
  const total = parts.reduce((sum, [from, to]) => sum + to - from, 0);
  let done = 0;
  for (const [from, to] of parts) {
    for (let at = from; at < to; at += step) {
      const length = Math.min(step, to - at);
      if (!skipsWriting) disk.zero(at, length);
      done += length;
      await between(done / total, length);
    }
  }
  return {
    name: disk.name,
    serial: disk.serial,
    bytes: disk.bytes,
    grade: reached,
    method: reached === 'secure' ? 'secure-erase' : reached === 'full' ? 'overwrite-zero' : 'zero-ends',
    secureCapable: disk.secureCapable,
    signaturesLeft: signatures(disk),
    samples: sampleCount,
    dirtySamples: dirtySamples(disk),
  };
}

/** What boot loaders and cloud-init would find: anything at the start, anything where first-boot data lies. */
function signatures(disk: LabDisk): number {
  return [disk.read(0, 512), disk.read(Math.max(0, disk.bytes - firstBootBytes), 512)].filter(isDirty).length;
}

function dirtySamples(disk: LabDisk): number {
  const stride = Math.max(1, Math.floor((disk.bytes - sampleBytes) / (sampleCount - 1)));
  let dirty = 0;
  for (let n = 0; n < sampleCount; n++) if (isDirty(disk.read(n * stride, sampleBytes))) dirty += 1;
  return dirty;
}

function isDirty(bytes: Buffer): boolean {
  return bytes.some((byte) => byte !== 0);
}
