import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** What files say, read again when they changed. Whoever replaces them meanwhile is met half way: the last good content stays in use. */
export class WatchedFiles<T> {
  readonly #paths: readonly string[];
  readonly #parse: (texts: readonly (string | null)[]) => T;
  #stamp: string | null = null;
  #looking: Promise<void> | null = null;
  #good: { readonly value: T } | null = null;
  #failure: Error | null = null;

  /** `parse` gets the text of each file, null where there is none, and throws when they cannot be used. */
  constructor(paths: readonly string[], parse: (texts: readonly (string | null)[]) => T) {
    this.#paths = paths;
    this.#parse = parse;
  }

  /** Why the files as they are now cannot be used; null when they can. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** @throws what `parse` threw, or why a file cannot be read, when there was never a good content. */
  async read(): Promise<T> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
    if (this.#good) return this.#good.value;
    throw this.#failure!;
  }

  async #look(): Promise<void> {
    // Taken before reading: a change during the reading is seen at the next look.
    const stamp = this.#paths.map(stampOf).join();
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#good = { value: this.#parse(await Promise.all(this.#paths.map(textOf))) };
      this.#failure = null;
    } catch (error) {
      this.#failure = error as Error;
    }
  }
}

/** At once: every connection asks, and the way to the thread pool and back costs ten times as much as the answer. */
function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return [ino, size, mtimeMs, ctimeMs].join('/');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
