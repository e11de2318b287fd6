import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
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
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Log } from '../../kernel/log/log.ts';
import { detectEncoding, magicBytes } from './image-format.ts';
import { measureRawBytes } from './raw-size.ts';

export interface NewImage {
  /** Letters, digits and `. _ + -`, at most 63. */
  readonly name: string;
  readonly canBond: boolean;
  readonly firstBoot: FirstBootFormat;
  readonly aliases: readonly string[];
  /** Size after unpacking: needed only where it cannot be measured, checked where it can. */
  readonly rawBytes?: number | undefined;
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
}

interface Received {
  readonly encoding: StoredImage['encoding'];
  readonly storedBytes: number;
  readonly sha256: string;
}

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
  /** Uploads under way here, which may be measured for longer than the orphans' age. */
  readonly #active = new Set<string>();

  constructor(options: ImageLibraryOptions) {
    this.#storage = options.storage;
    this.#folder = options.folder;
    this.#uploads = join(options.folder, 'tmp');
    this.#clock = options.clock;
    this.#log = options.log;
    this.#orphanAge = options.orphanAge ?? minutes(10);
  }

  /** Makes the folders, removes orphans, and names in the log every image whose file is missing or has another size. */
  async start(): Promise<void> {
    await stored(() => mkdir(this.#uploads, { recursive: true }));
    await this.#removeOrphans();
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
   * Stores an image from a stream of its bytes: raw, gzip or zstd, as its first bytes say.
   * @throws ServiceError `image.exists`, `image.format`, `image.storage`, or `request.invalid` for bad names and sizes.
   */
  async add(wanted: NewImage, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Image> {
    const aliases = [...new Set(wanted.aliases.map((alias) => alias.trim()))];
    requireNames(wanted.name, aliases);
    requireFree(wanted.name, aliases, await this.list());
    await this.#removeOrphans();

    const id = newSortableId('image', this.#clock.now());
    const upload = join(this.#uploads, id);
    this.#active.add(upload);
    try {
      const received = await this.#receive(upload, bytes, signal);
      const measured = await measureRawBytes(upload, received.encoding, received.storedBytes, signal);
      const image: Image = {
        name: wanted.name,
        canBond: wanted.canBond,
        firstBoot: wanted.firstBoot,
        rawBytes: agreedRawBytes(measured, wanted.rawBytes),
        ...received,
        aliases,
        file: `${id}.${received.encoding}`,
        createdAt: this.#clock.now(),
        version: 1,
      };
      return await this.#publish(upload, image);
    } finally {
      await unlink(upload).catch(() => undefined);
      this.#active.delete(upload);
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

  async #receive(path: string, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Received> {
    const hash = createHash('sha256');
    const file = await stored(() => open(path, 'wx', 0o640));
    try {
      let start = Buffer.alloc(0);
      let storedBytes = 0;
      for await (const chunk of bytes) {
        signal?.throwIfAborted();
        if (start.length < magicBytes) {
          start = Buffer.concat([start, chunk.subarray(0, magicBytes - start.length)]);
          // A format that cannot be used is refused at once, not after gigabytes.
          if (start.length === magicBytes) detectEncoding(start);
        }
        hash.update(chunk);
        await stored(() => file.appendFile(chunk));
        storedBytes += chunk.length;
      }
      const encoding = detectEncoding(start);
      await stored(() => file.sync());
      return { encoding, storedBytes, sha256: hash.digest('hex') };
    } finally {
      await file.close();
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

  async #removeOrphans(): Promise<void> {
    // Files first, rows second: a file that gets its row in between is not taken for an orphan.
    const uploads = (await readdir(this.#uploads))
      .map((name) => join(this.#uploads, name))
      .filter((path) => !this.#active.has(path));
    const files = (await readdir(this.#folder)).filter((name) =>
      /^image-[0-9a-f]+\.(raw|gzip|zstd)$/.test(name),
    );
    const used = new Set((await this.list()).map((image) => image.file));
    const orphans = [
      ...uploads,
      ...files.filter((name) => !used.has(name)).map((name) => join(this.#folder, name)),
    ];
    for (const path of orphans) {
      const touched = await stat(path).then(
        (found) => Math.floor(found.ctimeMs),
        () => null,
      );
      // The file system's clock is the wall clock, whatever clock was injected.
      if (touched === null || Date.now() - touched < this.#orphanAge) continue;
      await unlink(path).catch(() => undefined);
      this.#log.info({ path }, 'left-over of an interrupted upload removed');
    }
  }
}

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

/** Failures of the disk (no space, no permission) are an operator's business, not a fault of the service. */
async function stored<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new ServiceError({
      code: 'image.storage',
      what: 'the image file cannot be written',
      said: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}
