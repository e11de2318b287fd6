import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip, createGzip, type Gzip } from 'node:zlib';
import { ServiceError } from '../../kernel/errors/service-error.ts';

/** What a backup says of itself, in its first line. Never a secret. */
export interface BackupManifest {
  /** Of this format. */
  readonly format: 1;
  /** Of csbm. */
  readonly version: string;
  /** Epoch milliseconds of the moment that the backup shows. */
  readonly at: number;
  readonly database: 'sqlite' | 'mariadb';
  /** Names of the migrations that made its schema, in order. */
  readonly migrations: readonly string[];
  /** Ids of the keys with which its secrets are sealed. */
  readonly keys: readonly string[];
  /** How far the journal was: see `HistoryStore`. */
  readonly history: {
    readonly databaseId: string;
    readonly generation: number;
    readonly starts: number;
  } | null;
  /** Columns of each table, in the order of the values in its rows. */
  readonly tables: Readonly<Record<string, readonly string[]>>;
}

export type SqlScalar = string | number | null;

/** One line after the first: rows of a table, or the end with what must be there. */
type Line =
  | { readonly table: string; readonly rows: readonly (readonly SqlScalar[])[] }
  | { readonly end: true; readonly counts: Readonly<Record<string, number>>; readonly sha256: string };

/** What was written, or found whole. */
export interface BackupSummary {
  readonly manifest: BackupManifest;
  /** Rows of each table. */
  readonly counts: Readonly<Record<string, number>>;
  /** SHA-256 of everything before the last line, hex. */
  readonly sha256: string;
}

/**
 * A backup: compressed lines of JSON, in which the last one counts and sums up all others. It is written beside its name, read
 * back, and renamed once it is whole on the disk: what has the name is a backup. Only its owner may read it.
 */
export class BackupWriter {
  readonly #file: string;
  readonly #gzip: Gzip = createGzip({ level: 6 });
  readonly #hash: Hash = createHash('sha256');
  readonly #counts: Record<string, number> = {};
  readonly #written: Promise<void>;

  /** @throws ServiceError `backup.exists` */
  static async create(file: string, manifest: BackupManifest): Promise<BackupWriter> {
    await refuseExisting(file);
    // Whatever an earlier attempt left is ours to replace.
    await rm(`${file}.part`, { force: true });
    const writer = new BackupWriter(file);
    await writer.#line(manifest);
    return writer;
  }

  private constructor(file: string) {
    this.#file = file;
    const out = createWriteStream(`${file}.part`, { flags: 'wx', mode: 0o600 });
    this.#written = new Promise((resolve, reject) => {
      out.once('close', resolve).once('error', reject);
    });
    this.#written.catch((error: unknown) => this.#gzip.destroy(error as Error));
    this.#gzip.on('error', () => undefined);
    this.#gzip.pipe(out);
  }

  async rows(table: string, rows: readonly (readonly SqlScalar[])[]): Promise<void> {
    this.#counts[table] = (this.#counts[table] ?? 0) + rows.length;
    await this.#line({ table, rows });
  }

  /** @throws ServiceError `backup.exists`, `backup.broken` when it does not read back as it was written */
  async finish(): Promise<BackupSummary> {
    const sha256 = this.#hash.digest('hex');
    this.#gzip.end(`${JSON.stringify({ end: true, counts: this.#counts, sha256 })}\n`);
    await this.#written;
    await syncToDisk(`${this.#file}.part`);
    const found = await readBackup(`${this.#file}.part`);
    if (found.sha256 !== sha256)
      throw new ServiceError({
        code: 'backup.broken',
        what: 'it does not read back as it was written',
        where: this.#file,
      });
    // It may have come meanwhile: a large database takes its time.
    await refuseExisting(this.#file);
    await rename(`${this.#file}.part`, this.#file);
    await syncToDisk(dirname(this.#file));
    return found;
  }

  /** After a failure: nothing is left behind. */
  async discard(): Promise<void> {
    this.#gzip.destroy();
    await this.#written.catch(() => undefined);
    await rm(`${this.#file}.part`, { force: true });
  }

  async #line(value: object): Promise<void> {
    const text = `${JSON.stringify(value)}\n`;
    this.#hash.update(text);
    if (this.#gzip.destroyed) await this.#written;
    if (!this.#gzip.write(text)) await Promise.race([once(this.#gzip, 'drain'), this.#written]);
  }
}

/** Hears what is in a backup while it is read. */
export interface BackupVisitor {
  manifest?(manifest: BackupManifest): Promise<void> | void;
  rows?(table: string, rows: readonly (readonly SqlScalar[])[]): Promise<void> | void;
}

/**
 * Reads a backup to its end. Whether it is whole is known only then: what the visitor did is worth nothing before.
 * @throws ServiceError `backup.broken`
 */
export async function readBackup(file: string, visitor: BackupVisitor = {}): Promise<BackupSummary> {
  const broken = (said: string): ServiceError =>
    new ServiceError({ code: 'backup.broken', what: 'this is no whole backup of csbm', where: file, said });
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  const found: { manifest?: BackupManifest; end?: Extract<Line, { readonly end: true }> } = {};
  const take = async (text: string): Promise<void> => {
    if (found.end) throw broken('something comes after its end');
    if (!found.manifest) {
      const manifest = manifestOf(text);
      if (!manifest) throw broken('its first line says nothing of a backup');
      found.manifest = manifest;
      await visitor.manifest?.(manifest);
    } else {
      const line = lineOf(text);
      if (!line) throw broken('a line cannot be read');
      if ('end' in line) {
        found.end = line;
        return;
      }
      const columns = found.manifest.tables[line.table];
      if (!columns || line.rows.some((row) => row.length !== columns.length))
        throw broken(`rows of ${line.table} are not as its first line says`);
      counts[line.table] = (counts[line.table] ?? 0) + line.rows.length;
      await visitor.rows?.(line.table, line.rows);
    }
    hash.update(`${text}\n`);
  };
  // What the lines led to, as opposed to what the file itself gave.
  const taken: { failure?: unknown } = {};
  try {
    await pipeline(createReadStream(file), createGunzip(), async (chunks: AsyncIterable<Buffer>) => {
      for await (const line of linesOf(chunks))
        await take(line).catch((failure: unknown) => {
          taken.failure = failure;
          throw failure;
        });
    });
  } catch (thrown) {
    if (taken.failure !== undefined) throw taken.failure as Error;
    const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    throw broken(missing ? 'there is no such file' : thrown instanceof Error ? thrown.message : 'unreadable');
  }
  const { end, manifest } = found;
  if (!manifest || !end) throw broken('it ends before its end');
  const sha256 = hash.digest('hex');
  if (sha256 !== end.sha256) throw broken('its checksum is wrong');
  if (JSON.stringify(Object.entries(counts).sort()) !== JSON.stringify(Object.entries(end.counts).sort()))
    throw broken('rows are missing');
  return { manifest, counts, sha256 };
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  rest += decoder.end();
  if (rest !== '') yield rest;
}

function manifestOf(text: string): BackupManifest | null {
  try {
    const value = JSON.parse(text) as Partial<BackupManifest> | null;
    if (value?.format !== 1 || typeof value.at !== 'number' || typeof value.tables !== 'object') return null;
    if (!Array.isArray(value.migrations) || !Array.isArray(value.keys)) return null;
    return value as BackupManifest;
  } catch {
    return null;
  }
}

function lineOf(text: string): Line | null {
  try {
    const value = JSON.parse(text) as Partial<{
      table: string;
      rows: unknown;
      end: boolean;
      sha256: string;
      counts: unknown;
    }> | null;
    if (value?.end === true && typeof value.sha256 === 'string' && typeof value.counts === 'object')
      return value as unknown as Line;
    return typeof value?.table === 'string' && Array.isArray(value.rows) ? (value as unknown as Line) : null;
  } catch {
    return null;
  }
}

/** A file, or the names in a folder. */
async function syncToDisk(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function refuseExisting(file: string): Promise<void> {
  const there = await open(file, 'r').then(
    (handle) => handle.close().then(() => true),
    () => false,
  );
  if (there)
    throw new ServiceError({
      code: 'backup.exists',
      what: 'there is a file of this name already',
      where: file,
    });
}
