import type { StoredImage } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

/** How many bytes of a file {@link detectFormat} wants to see. */
export const magicBytes = 8;

/** Formats of virtual disks that are converted when they come in; the name is qemu-img's. */
export type DiskFormat = 'qcow2' | 'vmdk' | 'vpc';

/** What a file is: a disk, compressed or not, that is stored as it came, or a virtual disk that has to be converted. */
export type ImageFormat =
  | { readonly stored: StoredImage['encoding']; readonly converted?: never }
  | { readonly converted: DiskFormat; readonly stored?: never };

/** As people call them. */
export const diskFormatNames: Readonly<Record<DiskFormat, string>> = {
  qcow2: 'qcow2',
  vmdk: 'VMDK',
  vpc: 'VHD',
};

/**
 * By the first bytes: QEMU docs/interop/qcow2.txt (versions 2 and 3); VMware Virtual Disk Format 1.1, sparse extents; VHD 1.0, where a
 * dynamic disk begins with a copy of its footer.
 */
const convertible: readonly { readonly format: DiskFormat; readonly magic: string }[] = [
  { format: 'qcow2', magic: '514649fb00000002' },
  { format: 'qcow2', magic: '514649fb00000003' },
  { format: 'vmdk', magic: '4b444d56' },
  { format: 'vpc', magic: '636f6e6563746978' },
];

/** Formats that people upload by mistake, by their first bytes, and what to do with them instead. */
const refused: readonly { readonly name: string; readonly magic: string; readonly remedy: string }[] = [
  {
    name: 'qcow (another version than 2 and 3)',
    magic: '514649fb',
    remedy: 'convert it before the upload: qemu-img convert -O qcow2 IMAGE IMAGE.qcow2',
  },
  {
    name: 'VHDX',
    magic: '7668647866696c65',
    remedy: 'convert it before the upload: qemu-img convert -O qcow2 IMAGE.vhdx IMAGE.qcow2',
  },
  {
    name: 'VMDK descriptor',
    // "# Disk DescriptorFile", which names the files that hold the disk.
    magic: Buffer.from('# Disk D').toString('hex'),
    remedy: 'make one file of it before the upload: qemu-img convert -O qcow2 IMAGE.vmdk IMAGE.qcow2',
  },
  {
    name: 'xz',
    magic: 'fd377a585a00',
    remedy: 'compress it by zstd or gzip instead: xz -dc IMAGE.xz | zstd > IMAGE.zst',
  },
  {
    name: 'bzip2',
    magic: '425a68',
    remedy: 'compress it by zstd or gzip instead: bzip2 -dc IMAGE.bz2 | zstd > IMAGE.zst',
  },
];

/**
 * What a file is, by its first bytes; compression by RFC 1952 section 2.3.1 and RFC 8878 sections 3.1.1 and 3.1.2 (pzstd begins with a
 * skippable frame). What is nothing known is a raw disk.
 * @throws ServiceError `image.format` for an empty file, and for formats that are of no use here.
 */
export function detectFormat(start: Buffer): ImageFormat {
  if (start.length === 0) throw new ServiceError({ code: 'image.format', what: 'the image file is empty' });
  const hex = start.subarray(0, magicBytes).toString('hex');
  if (hex.startsWith('1f8b')) return { stored: 'gzip' };
  if (hex.startsWith('28b52ffd') || /^5.2a4d18/.test(hex)) return { stored: 'zstd' };
  const disk = convertible.find(({ magic }) => hex.startsWith(magic));
  if (disk) return { converted: disk.format };
  const known = refused.find(({ magic }) => hex.startsWith(magic));
  if (known) {
    throw new ServiceError({
      code: 'image.format',
      what: `the image file is in ${known.name} format`,
      remedy: known.remedy,
    });
  }
  return { stored: 'raw' };
}

/**
 * Why what was unpacked is no disk, which is written as it is; null when it may be one. The start of a virtual disk, or of something
 * packed twice, is none.
 */
export function whyNoDisk(unpacked: Buffer): ServiceError | null {
  let found: string;
  try {
    const { stored, converted } = detectFormat(unpacked);
    if (stored === 'raw') return null;
    found = converted ? diskFormatNames[converted] : stored;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  return new ServiceError({
    code: 'image.format',
    what: `the image file unpacks to a ${found} file, not to a disk`,
    remedy: 'unpack it before the upload',
  });
}
