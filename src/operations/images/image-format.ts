import type { StoredImage } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

/** How many bytes of a file {@link detectEncoding} wants to see. */
export const magicBytes = 8;

/** Formats that people upload by mistake, by their first bytes, and what to do with them instead. */
const refused: readonly { readonly name: string; readonly magic: string; readonly remedy: string }[] = [
  {
    name: 'qcow2',
    magic: '514649fb',
    remedy: 'convert it before the upload: qemu-img convert -O raw IMAGE.qcow2 IMAGE.raw && zstd IMAGE.raw',
  },
  {
    name: 'VMDK',
    magic: '4b444d56',
    remedy: 'convert it before the upload: qemu-img convert -O raw IMAGE.vmdk IMAGE.raw && zstd IMAGE.raw',
  },
  {
    name: 'VHDX',
    magic: '7668647866696c65',
    remedy: 'convert it before the upload: qemu-img convert -O raw IMAGE.vhdx IMAGE.raw && zstd IMAGE.raw',
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
 * How a file is compressed, by its first bytes (RFC 1952 section 2.3.1; RFC 8878 sections 3.1.1 and 3.1.2, where pzstd begins
 * with a skippable frame). What is nothing known is a raw disk.
 * @throws ServiceError `image.format` for an empty file, and for formats that cannot be streamed to a disk.
 */
export function detectEncoding(start: Buffer): StoredImage['encoding'] {
  if (start.length === 0) throw new ServiceError({ code: 'image.format', what: 'the image file is empty' });
  const hex = start.subarray(0, magicBytes).toString('hex');
  if (hex.startsWith('1f8b')) return 'gzip';
  if (hex.startsWith('28b52ffd') || /^5.2a4d18/.test(hex)) return 'zstd';
  const known = refused.find((format) => hex.startsWith(format.magic));
  if (known) {
    throw new ServiceError({
      code: 'image.format',
      what: `the image file is in ${known.name} format`,
      remedy: known.remedy,
    });
  }
  return 'raw';
}
