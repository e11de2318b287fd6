import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../kernel/files/make-folder.ts';
import { currentProcess, isProvablyDead } from '../instances/process-identity.ts';
import type { NotedEvent } from './record-event.ts';

/** A file is written anew when it is so much longer than what is still in it for a reason. */
const slack = 2 ** 20;

/**
 * Where events wait beside the memory: one file of each process in one folder, with a line of JSON for each event that is not in
 * the database yet. A line is written with one call and not forced to the disk: it outlives the process, and not a failure of the
 * host's power.
 */
export class NotesFiles {
  readonly #folder: string;
  readonly #path: string;
  /** Lines whose events are not in the database, by id. */
  readonly #open = new Map<string, string>();
  #openBytes = 0;
  #file: number | null = null;
  #bytes = 0;
  /** A line was written in part: the next one must not go on with it. */
  #cut = false;

  /** @param folder made when there is something to write */
  constructor(folder: string) {
    this.#folder = folder;
    this.#path = join(folder, `${randomBytes(8).toString('hex')}.jsonl`);
  }

  /** Writes one down. @throws what the file system says */
  add(event: NotedEvent): void {
    this.#file ??= this.#begin(this.#path);
    const line = `${JSON.stringify(event)}\n`;
    this.#open.set(event.id, line);
    this.#openBytes += Buffer.byteLength(line);
    const text = this.#cut ? `\n${line}` : line;
    this.#cut = true;
    this.#bytes += writeAll(this.#file, text);
    this.#cut = false;
  }

  /** These are in the database, or need not be. */
  settle(ids: readonly string[]): void {
    for (const id of ids) {
      this.#openBytes -= Buffer.byteLength(this.#open.get(id) ?? '');
      this.#open.delete(id);
    }
    // Not each time: to write a line costs little, to cut a file more. What is in the database already does no harm.
    if (this.#file !== null && this.#bytes > this.#openBytes + slack) this.#writeAnew(this.#file);
  }

  /** What processes that ended left behind. A line that a crash cut is left out. */
  leftBehind(): readonly LeftFile[] {
    let names: readonly string[];
    try {
      names = readdirSync(this.#folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    const paths = names.filter((name) => name.endsWith('.jsonl')).map((name) => join(this.#folder, name));
    return paths.flatMap((path) => {
      const [head = '', ...lines] = readFileSync(path, 'utf8').split('\n');
      if (path === this.#path || isAlive(head)) return [];
      const events = lines.slice(0, -1).flatMap((line) => eventOf(line) ?? []);
      return [{ events, remove: () => rmSync(path, { force: true }) }];
    });
  }

  /** Ends the file; without events in it, it goes. */
  close(): void {
    if (this.#file === null) return;
    closeSync(this.#file);
    this.#file = null;
    if (this.#open.size === 0) rmSync(this.#path, { force: true });
  }

  #begin(path: string): number {
    makeFolder(this.#folder);
    return this.#make(path, `${currentProcess()}\n`).file;
  }

  /** A new file with this in it, or none at all. */
  #make(path: string, text: string): { readonly file: number; readonly bytes: number } {
    const file = openSync(path, 'ax', 0o600);
    try {
      return { file, bytes: writeAll(file, text) };
    } catch (thrown) {
      closeSync(file);
      rmSync(path, { force: true });
      throw thrown;
    }
  }

  #writeAnew(old: number): void {
    const draft = `${this.#path}.new`;
    rmSync(draft, { force: true });
    const { file, bytes } = this.#make(draft, [`${currentProcess()}\n`, ...this.#open.values()].join(''));
    renameSync(draft, this.#path);
    closeSync(old);
    this.#file = file;
    this.#bytes = bytes;
    this.#cut = false;
  }
}

export interface LeftFile {
  readonly events: readonly NotedEvent[];
  /** They are in the database. */
  remove(): void;
}

/** On a full disk write(2) writes a part first, and says why only then. */
function writeAll(file: number, text: string): number {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
  return bytes.length;
}

/** Whether the process that a file says it is of may still write to it. */
function isAlive(identity: string): boolean {
  const place = (text: string): string => text.split(' ').slice(0, 2).join(' ');
  return identity !== '' && place(identity) === place(currentProcess()) && !isProvablyDead(identity);
}

function eventOf(line: string): NotedEvent | null {
  try {
    const event = JSON.parse(line) as Partial<NotedEvent> | null;
    const whole = [event?.id, event?.machineId, event?.kind, event?.text].every(
      (part) => typeof part === 'string',
    );
    return whole && typeof event?.at === 'number' ? (event as NotedEvent) : null;
  } catch {
    return null;
  }
}
