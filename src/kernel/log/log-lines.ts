import { writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

export interface LogLinesOptions {
  /** How long one line waits, in milliseconds, for a reader that does not read: nothing else is done meanwhile (default 2 s). */
  readonly patience?: number;
  /** Writes what it can, and says how many bytes that was; a test's own instead of write(2). */
  readonly write?: (fd: number, bytes: Buffer) => number;
}

/** Milliseconds between two attempts on a pipe or socket that is full. */
const pause = 10;

/**
 * Lines of the log to an open file descriptor, at once. A full disk, or a reader that has gone, costs lines and not the service:
 * what could not be written is counted, and told as soon as something can be written again.
 */
export class LogLines implements DestinationStream {
  readonly #fd: number;
  readonly #patience: number;
  readonly #write: (fd: number, bytes: Buffer) => number;
  #lost = 0;
  #reason = '';
  /** The last line was written in part. */
  #cut = false;

  constructor(fd: number, { patience = 2_000, write = writeSync }: LogLinesOptions = {}) {
    this.#fd = fd;
    this.#patience = patience;
    this.#write = write;
  }

  write(line: string): void {
    try {
      if (this.#lost > 0) this.#writeAll(this.#ofLoss(line));
      this.#lost = 0;
      this.#writeAll(line);
    } catch (thrown) {
      this.#lost += 1;
      this.#reason = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown';
    }
  }

  /** @param next the line after it, whose time it has */
  #ofLoss(next: string): string {
    const told = {
      level: 40,
      time: /"time":"([^"]*)"/.exec(next)?.[1],
      lines: this.#lost,
      reason: this.#reason,
      msg: 'lines of this log could not be written',
    };
    return `${this.#cut ? '\n' : ''}${JSON.stringify(told)}\n`;
  }

  #writeAll(text: string): void {
    const bytes = Buffer.from(text);
    // Who did not read for so long is not waited for again before it reads.
    const until = performance.now() + (this.#lost > 0 ? 0 : this.#patience);
    for (let at = 0; at < bytes.length;) {
      try {
        at += this.#write(this.#fd, bytes.subarray(at));
        this.#cut = at < bytes.length;
      } catch (thrown) {
        const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null;
        if (code === 'EINTR') continue;
        // libuv makes pipes and sockets non-blocking, and they are this process's only way to tell anything.
        if (code !== 'EAGAIN' || performance.now() >= until) throw thrown;
        Atomics.wait(asleep, 0, 0, pause);
      }
    }
  }
}

/** Nobody wakes it: the way to wait without an event loop. */
const asleep = new Int32Array(new SharedArrayBuffer(4));
