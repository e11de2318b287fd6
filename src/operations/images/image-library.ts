import { mkdir, open, readdir, rename, stat, statfs, unlink, type FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  minutes,
  type Clock,
  type Duration,
  type FirstBootFormat,
  type ImageCatalogue,
  type StoredImage,
} from '../../../plugin-api/index.ts';
import type { Image } from '../../core/image/image.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { formatDuration } from '../../kernel/clock/duration.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Log } from '../../kernel/log/log.ts';
import { convertDisk, requireQemuImg } from './convert-disk.ts';
import { writeImageFile, type WrittenFile } from './image-file.ts';
import { detectFormat, magicBytes, type DiskFormat, type ImageFormat } from './image-format.ts';
import { packDisk } from './pack-disk.ts';
import { measureRawBytes } from './raw-size.ts';
import { stored } from './stored.ts';

export interface NewImage {
  /** Letters, digits and `. _ + -`, at most 63. */
  readonly name: string;
  readonly canBond: boolean;
  readonly firstBoot: FirstBootFormat;
  readonly aliases: readonly string[];
  /** Size after unpacking: needed only where it cannot be measured, checked where it can. */
  readonly rawBytes?: number | undefined;
  /** Of the bytes that come, in lower-case hex: checked. A converted image is stored with a checksum of its own. */
  readonly sha256?: string | undefined;
}

/** An image on its way into the library. */
export interface AddingImage {
  readonly name: string;
  /** `waiting`: for another conversion, of which there is one at a time. */
  readonly doing: 'receiving' | 'measuring' | 'waiting' | 'converting' | 'compressing';
  /** 0 to 100; null = it cannot be told. */
  readonly percent: number | null;
}

/** How virtual disks (qcow2, VMDK, VHD) become raw ones. */
export interface Conversion {
  /** The program of Debian's package qemu-utils. */
  readonly qemuImg: string;
  /** The program; without it images are compressed by gzip. It also measures zstd images. */
  readonly zstd: string;
  /** Longest conversion, without the upload. */
  readonly timeout: Duration;
  /** Largest disk that is converted. */
  readonly maxRawBytes: number;
  /** Bytes that can still be written in a folder. */
  readonly freeBytes: (folder: string) => Promise<number>;
}

/** Where an image's stored file is, and what it must be. */
export interface ImageFile {
  readonly path: string;
  readonly storedBytes: number;
  /** Hex. */
  readonly sha256: string;
}

export interface ImageLibraryOptions {
  readonly storage: Storage;
  /** `<stateDir>/images`; made when it is missing. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Files that belong to no image are removed when untouched for so long (default 10 minutes): a younger one may be an upload of another instance. */
  readonly orphanAge?: Duration;
  readonly conversion?: Partial<Conversion>;
}

/** The file as it will be stored, still in the folder of the uploads. */
interface Prepared extends WrittenFile {
  readonly path: string;
  readonly encoding: StoredImage['encoding'];
  readonly rawBytes: number | null;
}

/** Bytes of an upload between two looks at the free space, and what uploads and conversions leave free: the database may lie there too. */
const lookEvery = 64 * 1024 ** 2;
const spared = 256 * 1024 ** 2;

const defaultConversion: Conversion = {
  qemuImg: 'qemu-img',
  zstd: 'zstd',
  timeout: minutes(120),
  maxRawBytes: 256 * 1024 ** 3,
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

/**
 * The images of the native engine: files in one folder, rows in storage. A row exists only for a file that is whole and durable; what an
 * interrupted upload left behind is removed at the next start or upload.
 */
export class ImageLibrary implements ImageCatalogue {
  readonly #storage: Storage;
  readonly #folder: string;
  readonly #uploads: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #orphanAge: Duration;
  readonly #conversion: Conversion;
  /** By id: images under way here, which may be measured or converted for longer than the orphans' age. */
  readonly #adding = new Map<string, AddingImage>();
  /** Each of them takes gigabytes of space and every processor. */
  readonly #oneConversion = new Semaphore(1);
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  /**
   * Files of no image: when they were last changed, as the file system says, and since when we have seen them so by the steady
   * clock. Another instance may be writing them, and a jump of the wall clock makes them no older.
   */
  readonly #orphans = new Map<string, { readonly touched: number; readonly since: number }>();

  constructor(options: ImageLibraryOptions) {
    this.#storage = options.storage;
    // Absolute, because qemu-img takes what stands before a colon in a relative path for a protocol.
    this.#folder = resolve(options.folder);
    this.#uploads = join(this.#folder, 'tmp');
    this.#clock = options.clock;
    this.#log = options.log;
    this.#orphanAge = options.orphanAge ?? minutes(10);
    this.#conversion = { ...defaultConversion, ...options.conversion };
  }

  /** Makes the folders, removes orphans, and names in the log every image whose file is missing or has another size. */
  async start(): Promise<void> {
    await stored(() => mkdir(this.#uploads, { recursive: true }));
    // What a crash has just left is too young now, and may be as large as a disk.
    if ((await this.#removeOrphans()) > 0) void this.#run(this.#removeOrphansLater());
    for (const image of await this.list()) {
      const size = await stat(join(this.#folder, image.file)).then(
        (found) => found.size,
        () => null,
      );
      if (size !== image.storedBytes) {
        this.#log.error(
          { image: image.name, size, expected: image.storedBytes },
          'image file is missing or damaged',
        );
      }
    }
  }

  /** Ends what is being added, and leaves nothing of it. */
  async stop(): Promise<void> {
    this.#stopping.abort(
      new ServiceError({
        code: 'image.conversion',
        retry: 'later',
        what: 'the service was stopped while the image was added',
        remedy: 'add it again when the service is up',
      }),
    );
    await Promise.allSettled(this.#running);
  }

  /** Images on their way into the library. */
  adding(): readonly AddingImage[] {
    return [...this.#adding.values()];
  }

  async find(name: string): Promise<Image | null> {
    return this.#storage.run((tx) => tx.images.find(name));
  }

  async list(): Promise<readonly Image[]> {
    return this.#storage.run((tx) => tx.images.list());
  }

  /** The stored file of an image, or null when there is no such image. */
  async file(name: string): Promise<ImageFile | null> {
    const image = await this.find(name);
    return (
      image && { path: join(this.#folder, image.file), storedBytes: image.storedBytes, sha256: image.sha256 }
    );
  }

  /**
   * Stores an image from a stream of its bytes: raw, gzip or zstd as they come; qcow2, VMDK and VHD converted to raw and compressed.
   * @throws ServiceError `image.exists`, `image.format`, `image.checksum`, `image.storage`, `image.conversion`, or `request.invalid`
   *   for bad names and sizes; the signal's reason
   */
  add(wanted: NewImage, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Image> {
    const { signal: stopping } = this.#stopping;
    return this.#run(this.#add(wanted, bytes, signal ? AbortSignal.any([signal, stopping]) : stopping));
  }

  async #add(wanted: NewImage, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Image> {
    signal.throwIfAborted();
    const aliases = [...new Set(wanted.aliases.map((alias) => alias.trim()))];
    requireNames(wanted.name, aliases);
    requireFree(wanted.name, aliases, await this.list());
    await this.#removeOrphans();

    const id = newSortableId('image', this.#clock.now());
    const upload = join(this.#uploads, id);
    try {
      this.#tell(id, wanted.name, 'receiving');
      const { format, ...received } = await this.#receive(upload, bytes, signal);
      requireChecksum(received.sha256, wanted.sha256);
      const prepared = format.converted
        ? await this.#convert(id, wanted.name, format.converted, signal)
        : await this.#measure(
            id,
            wanted.name,
            { path: upload, encoding: format.stored, ...received },
            signal,
          );
      const { path, encoding, storedBytes, sha256 } = prepared;
      const image: Image = {
        name: wanted.name,
        canBond: wanted.canBond,
        firstBoot: wanted.firstBoot,
        rawBytes: agreedRawBytes(prepared.rawBytes, wanted.rawBytes),
        encoding,
        storedBytes,
        sha256,
        aliases,
        file: `${id}.${encoding}`,
        createdAt: this.#clock.now(),
        version: 1,
      };
      signal.throwIfAborted();
      return await this.#publish(path, image);
    } finally {
      for (const path of [upload, rawOf(upload), packedOf(upload)]) await unlink(path).catch(() => undefined);
      this.#adding.delete(id);
    }
  }

  /**
   * Removes an image and its file.
   * @throws ServiceError `request.not-found`, `image.in-use` while a machine is being installed with it.
   */
  async remove(name: string): Promise<void> {
    const file = await this.#storage.run(async (tx) => {
      const image = await tx.images.find(name);
      if (!image) throw new ServiceError({ code: 'request.not-found', what: `there is no image "${name}"` });
      const users = (await tx.deployments.listCurrent()).filter(
        (deployment) => deployment.state === 'installing' && deployment.image === name,
      );
      if (users.length > 0) {
        throw new ServiceError({
          code: 'image.in-use',
          what: `image "${name}" is being installed for ${users.map((user) => user.externalId).join(', ')}`,
        });
      }
      await tx.images.delete(name);
      return image.file;
    });
    await unlink(join(this.#folder, file)).catch((error: unknown) => {
      this.#log.warn({ image: name, err: error }, 'file of a removed image stays until the next start');
    });
  }

  async #receive(
    path: string,
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<WrittenFile & { readonly format: ImageFormat }> {
    let start = Buffer.alloc(0);
    const { qemuImg } = this.#conversion;
    const requireRoom = (): Promise<void> => this.#requireRoom();
    const looked = async function* (): AsyncGenerator<Uint8Array> {
      let sinceLook = 0;
      for await (const chunk of bytes) {
        sinceLook += chunk.length;
        if (sinceLook >= lookEvery) {
          await requireRoom();
          sinceLook = 0;
        }
        if (start.length < magicBytes) {
          start = Buffer.concat([start, chunk.subarray(0, magicBytes - start.length)]);
          // What cannot be used is refused at once, not after gigabytes.
          if (start.length === magicBytes) {
            const { converted } = detectFormat(start);
            if (converted) await requireQemuImg(qemuImg, converted);
          }
        }
        yield chunk;
      }
    };
    const written = await writeImageFile(path, looked(), signal);
    return { format: detectFormat(start), ...written };
  }

  /** The database mostly lies on the same disk: an upload that filled it would end every operation under way. */
  async #requireRoom(): Promise<void> {
    const free = await stored(() => this.#conversion.freeBytes(this.#uploads));
    if (free >= spared) return;
    throw new ServiceError({
      code: 'image.storage',
      what: `the image is too large for the disk: ${free} bytes are free, and ${spared} are left to the database`,
      where: 'the images folder',
      remedy: 'free space there, or set provisioning.imageDir to a larger file system',
    });
  }

  async #measure(
    id: string,
    name: string,
    received: Omit<Prepared, 'rawBytes'>,
    signal: AbortSignal,
  ): Promise<Prepared> {
    this.#tell(id, name, 'measuring');
    const { path, encoding, storedBytes } = received;
    const rawBytes = await measureRawBytes(path, encoding, storedBytes, this.#conversion.zstd, signal);
    return { ...received, rawBytes };
  }

  async #convert(id: string, name: string, format: DiskFormat, signal: AbortSignal): Promise<Prepared> {
    const { timeout } = this.#conversion;
    const late = new ServiceError({
      code: 'image.conversion',
      what: `the image was not converted within ${formatDuration(timeout)}`,
      remedy: 'raise provisioning.conversion.timeout, or convert the image before the upload',
    });
    this.#tell(id, name, 'waiting');
    return this.#oneConversion.run(() =>
      withDeadline(
        this.#clock,
        timeout,
        () => late,
        (until) => this.#convertNow(id, name, format, until),
        signal,
      ),
    );
  }

  async #convertNow(id: string, name: string, format: DiskFormat, signal: AbortSignal): Promise<Prepared> {
    signal.throwIfAborted();
    const began = this.#clock.monotonic();
    const { qemuImg, zstd, maxRawBytes, freeBytes } = this.#conversion;
    const file = join(this.#uploads, id);
    const raw = rawOf(file);
    const packed = packedOf(file);
    this.#tell(id, name, 'converting', 0);
    await convertDisk({
      file,
      format,
      raw,
      qemuImg,
      maxRawBytes,
      freeBytes: () => freeBytes(this.#uploads),
      spared,
      onPercent: (percent) => this.#tell(id, name, 'converting', percent),
      signal,
    });
    // Its space is needed now.
    await stored(() => unlink(file));
    const { size: rawBytes } = await stored(() => stat(raw));
    this.#tell(id, name, 'compressing', 0);
    const onRead = (bytes: number): void => this.#tell(id, name, 'compressing', (100 * bytes) / rawBytes);
    const written = await packDisk({ raw, packed, zstd, onRead, signal });
    const took = formatDuration(this.#clock.monotonic() - began);
    this.#log.info({ image: name, format, rawBytes, took }, 'image converted');
    return { path: packed, rawBytes, ...written };
  }

  #tell(id: string, name: string, doing: AddingImage['doing'], percent: number | null = null): void {
    this.#adding.set(id, { name, doing, percent: percent === null ? null : Math.floor(percent) });
  }

  async #run<T>(task: Promise<T>): Promise<T> {
    this.#running.add(task);
    try {
      return await task;
    } finally {
      this.#running.delete(task);
    }
  }

  /** The file gets its name and is durable under it before the row exists. */
  async #publish(upload: string, image: Image): Promise<Image> {
    const path = join(this.#folder, image.file);
    await stored(() => rename(upload, path));
    try {
      await stored(() => syncFolder(this.#folder));
      await this.#storage.run(async (tx) => {
        requireFree(image.name, image.aliases, await tx.images.list());
        await tx.images.insert(image);
      });
    } catch (error) {
      await unlink(path).catch(() => undefined);
      throw error;
    }
    this.#log.info(
      { image: image.name, encoding: image.encoding, storedBytes: image.storedBytes },
      'image added',
    );
    return image;
  }

  async #removeOrphansLater(): Promise<void> {
    try {
      do await this.#clock.sleep(this.#orphanAge, this.#stopping.signal);
      while ((await this.#removeOrphans()) > 0);
    } catch (error) {
      if (!this.#stopping.signal.aborted)
        this.#log.warn({ err: error }, 'left-overs of uploads not looked for');
    }
  }

  /** @returns how many were left because they are too young */
  async #removeOrphans(): Promise<number> {
    // Files first, rows second: a file that gets its row in between is not taken for an orphan.
    const uploads = (await readdir(this.#uploads))
      .filter((name) => !this.#adding.has(name.split('.', 1)[0]!))
      .map((name) => join(this.#uploads, name));
    const files = (await readdir(this.#folder)).filter((name) =>
      /^image-[0-9a-f]+\.(raw|gzip|zstd)$/.test(name),
    );
    const used = new Set((await this.list()).map((image) => image.file));
    const orphans = [
      ...uploads,
      ...files.filter((name) => !used.has(name)).map((name) => join(this.#folder, name)),
    ];
    let young = 0;
    for (const path of orphans) {
      const touched = await stat(path).then(
        (found) => found.ctimeMs,
        () => null,
      );
      if (touched === null) continue;
      const now = this.#clock.monotonic();
      const before = this.#orphans.get(path);
      const since = before?.touched === touched ? before.since : now;
      if (now - since < this.#orphanAge) {
        this.#orphans.set(path, { touched, since });
        young += 1;
        continue;
      }
      this.#orphans.delete(path);
      await unlink(path).catch(() => undefined);
      this.#log.info({ path }, 'left-over of an interrupted upload removed');
    }
    return young;
  }
}

/** The raw disk that an upload is converted to, and the compressed one that is made of that. */
const rawOf = (upload: string): string => `${upload}.raw`;
const packedOf = (upload: string): string => `${upload}.packed`;

function requireNames(name: string, aliases: readonly string[]): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$/.test(name)) {
    throw new ServiceError({
      code: 'request.invalid',
      what: `"${name.slice(0, 80)}" cannot be an image's name`,
      remedy: 'use letters, digits and . _ + - (at most 63), beginning with a letter or digit',
    });
  }
  const bad = aliases.find((alias) => alias === '' || alias.length > 2048);
  if (bad !== undefined) {
    throw new ServiceError({
      code: 'request.invalid',
      what: 'an alias is empty or longer than 2048 characters',
    });
  }
}

/** Two images with a name in common would make every template of that name ambiguous. */
function requireFree(name: string, aliases: readonly string[], images: readonly Image[]): void {
  const wanted = new Set([name, ...aliases].map(withoutScheme));
  for (const image of images) {
    const taken = [image.name, ...image.aliases].map(withoutScheme).find((other) => wanted.has(other));
    if (taken === undefined) continue;
    throw new ServiceError({
      code: 'image.exists',
      what: `"${taken}" is already a name of image "${image.name}"`,
    });
  }
}

/** `csbm://debian-12` and `debian-12` name the same image in a template. */
function withoutScheme(name: string): string {
  return name.replace(/^csbm:\/\//, '');
}

function requireChecksum(sha256: string, said: string | undefined): void {
  if (said === undefined || said === sha256) return;
  throw new ServiceError({
    code: 'image.checksum',
    what: 'the image file is not the announced one',
    said: `announced SHA-256 ${said}, received ${sha256}`,
  });
}

function agreedRawBytes(measured: number | null, said: number | undefined): number {
  if (measured === null && said === undefined) {
    throw new ServiceError({
      code: 'request.invalid',
      what: 'the unpacked size of this zstd image cannot be measured here',
      remedy: 'install the zstd program, or give rawBytes',
    });
  }
  if (measured !== null && said !== undefined && measured !== said) {
    throw new ServiceError({
      code: 'request.invalid',
      what: `the image unpacks to ${measured} bytes, not to the ${said} that were announced`,
    });
  }
  return (measured ?? said)!;
}

async function syncFolder(folder: string): Promise<void> {
  const handle: FileHandle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
