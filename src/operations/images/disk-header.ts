import { ServiceError } from '../../kernel/errors/service-error.ts';
import { diskFormatNames, type DiskFormat } from './image-format.ts';

/** How many bytes of a file {@link readDiskHeader} wants to see: a VMDK's header and the descriptor behind it. */
export const headerBytes = 512 + 20 * 512;

/**
 * Size in bytes of a virtual disk, by its header, which must not lead to any other file: a disk may name a backing file, a data
 * file or extents, and qemu-img would open, and copy into the image, whatever file of this host is named there (CVE-2022-47951,
 * CVE-2024-32498, CVE-2024-4467). So this looks before qemu-img does.
 * @param start the first {@link headerBytes} bytes of the file, or all of it
 * @throws ServiceError `image.format`
 */
export function readDiskHeader(format: DiskFormat, start: Buffer): number {
  const bytes = readers[format](start);
  if (bytes === 0n) throw refuse(format, 'is empty');
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse(format, `claims to have ${bytes} bytes`);
  return Number(bytes);
}

const readers: Readonly<Record<DiskFormat, (start: Buffer) => bigint>> = {
  qcow2: readQcow2,
  vmdk: readVmdk,
  vpc: readVhd,
};

/** QEMU docs/interop/qcow2.txt, "Header"; big-endian. */
function readQcow2(start: Buffer): bigint {
  const version = reach(start, 'qcow2', 72).readUInt32BE(4);
  if (start.readBigUInt64BE(8) !== 0n) throw refuse('qcow2', 'has a backing file', flatten);
  if (start.readUInt32BE(32) !== 0) throw refuse('qcow2', 'is encrypted', flatten);
  // Incompatible features are there from version 3 on; bit 2: the data is in another file.
  if (version >= 3 && (reach(start, 'qcow2', 80).readUInt32BE(76) & 4) !== 0)
    throw refuse('qcow2', 'has an external data file', flatten);
  return start.readBigUInt64BE(24);
}

/** Virtual Disk Format 1.1, "Hosted Sparse Extent Header"; little-endian, sizes in sectors of 512 bytes. */
function readVmdk(start: Buffer): bigint {
  const sectors = reach(start, 'vmdk', 512).readBigUInt64LE(12);
  // No capacity: the embedded descriptor counts instead, which may name other files as extents.
  if (sectors === 0n) throw refuse('vmdk', 'keeps its data in other files', flatten);
  // qemu-img opens what is named there, whatever parentCID says.
  if (start.subarray(512).includes('parentFileNameHint')) throw refuse('vmdk', 'has a parent', flatten);
  return sectors * 512n;
}

/** Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"; big-endian. */
function readVhd(start: Buffer): bigint {
  const type = reach(start, 'vpc', 512).readUInt32BE(60);
  if (type === 4) throw refuse('vpc', 'has a parent', flatten);
  if (type !== 3) throw refuse('vpc', `is of the unknown type ${type}`, flatten);
  return start.readBigUInt64BE(48);
}

const flatten = 'make it one plain file before the upload: qemu-img convert -O qcow2 IMAGE WHOLE.qcow2';

function reach(start: Buffer, format: DiskFormat, bytes: number): Buffer {
  if (start.length >= bytes) return start;
  throw refuse(format, `ends after ${start.length} bytes, within its header`);
}

function refuse(format: DiskFormat, what: string, remedy = 'upload a whole image'): ServiceError {
  return new ServiceError({
    code: 'image.format',
    what: `the ${diskFormatNames[format]} image ${what}`,
    remedy,
  });
}
