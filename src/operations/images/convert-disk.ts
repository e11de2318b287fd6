import { open, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { headerBytes, readDiskHeader } from './disk-header.ts';
import { diskFormatNames, type DiskFormat } from './image-format.ts';
import { runProgram, type ProgramEnd } from './run-program.ts';
import { stored } from './stored.ts';

export interface ConvertDisk {
  readonly file: string;
  /** Found by {@link detectFormat}; qemu-img is never left to guess it. */
  readonly format: DiskFormat;
  /** Made here, sparse; must not exist. */
  readonly raw: string;
  readonly qemuImg: string;
  /** Largest disk that is converted. */
  readonly maxRawBytes: number;
  /** Bytes that can still be written where `raw` is. */
  readonly freeBytes: () => Promise<number>;
  /** Bytes that must stay free. */
  readonly spared: number;
  /** 0 to 100. */
  readonly onPercent: (percent: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What `qemu-img info --output=json` says, as far as it matters here (QEMU qapi/block-core.json, ImageInfo). */
const infoAnswer = z.object({
  format: z.string(),
  'virtual-size': z.int().nonnegative(),
  'cluster-size': z.int().optional(),
  encrypted: z.boolean().optional(),
  'backing-filename': z.string().optional(),
  'full-backing-filename': z.string().optional(),
  'format-specific': z
    .object({
      data: z.object({
        corrupt: z.boolean().optional(),
        'data-file': z.string().optional(),
        extents: z
          .array(z.object({ filename: z.string().optional(), compressed: z.boolean().optional() }))
          .optional(),
      }),
    })
    .optional(),
});
type Info = z.infer<typeof infoAnswer>;

/** @throws ServiceError `image.conversion` unless qemu-img is there */
export async function requireQemuImg(qemuImg: string, format: DiskFormat): Promise<void> {
  if (await runProgram(qemuImg, ['--version'])) return;
  throw new ServiceError({
    code: 'image.conversion',
    what: `a ${diskFormatNames[format]} image is converted by qemu-img, and there is no program ${qemuImg} here`,
    remedy:
      'apt-get install qemu-utils where the service runs; or convert the image before the upload: ' +
      `qemu-img convert -f ${format} -O raw IMAGE IMAGE.raw && zstd IMAGE.raw`,
  });
}

/**
 * Converts a virtual disk to a sparse raw one. The file comes from outside: it is looked at, by its header and then by qemu-img,
 * before anything of it is followed, and checked before it is read, because qemu-img reads what a truncated qcow2 lacks as zeroes.
 * @throws ServiceError `image.format` for images that are damaged, too large or lead to other files; `image.storage` where there is
 *   no space; `image.conversion`
 */
export async function convertDisk(work: ConvertDisk): Promise<void> {
  requireSize(work, readDiskHeader(work.format, await startOf(work.file)));
  const info = readInfo(work, await qemuImg(work, ['info', '--output=json', '-f', work.format, work.file]));
  requireWhole(work, info);
  requireSize(work, info['virtual-size']);
  const allocated = await check(work);
  await requireSpace(work, await dataBytes(work, info, allocated));

  // Made by us, with our mode and under our name: qemu-img only fills it.
  await stored(async () => (await open(work.raw, 'wx', 0o640)).close());
  const end = await qemuImg(
    work,
    ['convert', '-p', '-f', work.format, '-O', 'raw', '-S', '4k', work.file, work.raw],
    (output) => readPercents(output, work.onPercent),
  );
  if (end.code !== 0) throw failure(work, 'cannot be converted', end);
  const { size } = await stored(() => stat(work.raw));
  if (size !== info['virtual-size']) {
    throw new ServiceError({
      code: 'image.conversion',
      what: `qemu-img made ${size} bytes of an image of ${info['virtual-size']}`,
      remedy: 'convert the image before the upload',
    });
  }
}

async function startOf(path: string): Promise<Buffer> {
  const file = await stored(() => open(path, 'r'));
  try {
    const start = Buffer.alloc(headerBytes);
    const { bytesRead } = await stored(() => file.read(start, 0, headerBytes, 0));
    return start.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function qemuImg(
  work: ConvertDisk,
  args: readonly string[],
  stdout?: (output: Readable) => Promise<void>,
): Promise<ProgramEnd> {
  const end = await runProgram(work.qemuImg, args, { signal: work.signal, ...(stdout && { stdout }) });
  if (end?.by) {
    throw new ServiceError({
      code: 'image.conversion',
      what: `qemu-img ${args[0]} was ended by ${end.by}`,
      remedy: 'try again; see whether there is memory enough',
    });
  }
  if (end) return end;
  await requireQemuImg(work.qemuImg, work.format);
  throw new Error(`${work.qemuImg} is there only at times`);
}

function readInfo(work: ConvertDisk, end: ProgramEnd): Info {
  if (end.code !== 0) throw failure(work, 'cannot be read', end);
  return readAnswer(infoAnswer, end);
}

/** The same once more that the header told, by whoever will open the file. */
function requireWhole(work: ConvertDisk, info: Info): void {
  const { data } = info['format-specific'] ?? {};
  const others = data?.extents?.filter(({ filename }) => filename !== undefined && filename !== work.file);
  const what =
    info.format !== work.format
      ? `is ${info.format} to qemu-img`
      : info['backing-filename'] !== undefined || info['full-backing-filename'] !== undefined
        ? 'has a backing file'
        : data?.['data-file'] !== undefined || (others && others.length > 0)
          ? 'keeps its data in other files'
          : info.encrypted
            ? 'is encrypted'
            : data?.corrupt
              ? 'is marked as corrupt'
              : null;
  if (what === null) return;
  throw new ServiceError({
    code: 'image.format',
    what: `the ${diskFormatNames[work.format]} image ${what}`,
    remedy: 'make one plain, whole file before the upload: qemu-img convert -O qcow2 IMAGE WHOLE.qcow2',
  });
}

function requireSize({ format, maxRawBytes }: ConvertDisk, bytes: number): void {
  if (bytes <= maxRawBytes) return;
  throw new ServiceError({
    code: 'image.format',
    what: `the ${diskFormatNames[format]} image is a disk of ${bytes} bytes, and at most ${maxRawBytes} are converted`,
    remedy: 'make it smaller, or raise provisioning.conversion.maxRawGiB',
  });
}

/** qemu-img(1), "check": 0 = consistent, 1 = it could not be checked, 2 = corrupt, 3 = leaked clusters only, 63 = no check for this format. */
const checkCodes = { consistent: 0, leaks: 3, unsupported: 63 } as const;

/** Clusters that hold data, where the format tells. */
async function check(work: ConvertDisk): Promise<number | undefined> {
  const end = await qemuImg(work, ['check', '--output=json', '-f', work.format, work.file]);
  if (end.code === checkCodes.unsupported) return undefined;
  if (end.code !== checkCodes.consistent && end.code !== checkCodes.leaks)
    throw failure(work, 'is damaged', end);
  return readAnswer(z.object({ 'allocated-clusters': z.int().optional() }), end)['allocated-clusters'];
}

/** How much of the disk is data, at most: by clusters, else as much as the file has, or the whole disk where that is compressed. */
async function dataBytes(work: ConvertDisk, info: Info, allocated: number | undefined): Promise<number> {
  const clusterBytes = info['cluster-size'];
  if (work.format === 'qcow2' && allocated !== undefined && clusterBytes !== undefined)
    return Math.min(allocated * clusterBytes, info['virtual-size']);
  const compressed = info['format-specific']?.data.extents?.some((extent) => extent.compressed);
  const { size } = await stored(() => stat(work.file));
  return compressed ? info['virtual-size'] : Math.min(size, info['virtual-size']);
}

/** At first the upload and the raw disk are there, then the raw disk and what it is compressed to, which may be as large. */
async function requireSpace(work: ConvertDisk, data: number): Promise<void> {
  const { size } = await stored(() => stat(work.file));
  const needed = Math.max(data, 2 * data - size);
  const free = await work.freeBytes();
  if (free >= needed + work.spared) return;
  throw new ServiceError({
    code: 'image.storage',
    what: `converting the image needs ${needed} bytes besides ${work.spared} for the database, and ${free} are free`,
    where: 'the images folder',
    remedy:
      'free space there, or set provisioning.imageDir to a larger file system; or convert the image before the upload',
  });
}

/** `    (12.34/100%)` over and over, each behind a carriage return. */
async function readPercents(output: Readable, onPercent: (percent: number) => void): Promise<void> {
  for await (const chunk of output) {
    const last = [...(chunk as Buffer).toString().matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1);
    if (last) onPercent(Number(last[1]));
  }
}

function failure(work: ConvertDisk, what: string, end: ProgramEnd): ServiceError {
  const said = end.said.replaceAll(work.file, 'the image');
  if (/No space left on device|Disk quota exceeded/.test(said))
    return new ServiceError({ code: 'image.storage', what: 'the converted image cannot be written', said });
  return new ServiceError({
    code: 'image.format',
    what: `the ${diskFormatNames[work.format]} image ${what}`,
    said: said || `qemu-img ended with ${end.code}`,
    remedy: 'download or make it again, compare its checksum, and upload it again',
  });
}

function readAnswer<T>(answer: z.ZodType<T>, { out }: ProgramEnd): T {
  try {
    return answer.parse(JSON.parse(out));
  } catch (cause) {
    throw new ServiceError({
      code: 'image.conversion',
      what: 'qemu-img answers something unexpected',
      said: out.slice(0, 500),
      remedy: 'convert the image before the upload',
      cause,
    });
  }
}
