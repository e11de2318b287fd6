import type { Socket } from 'node:net';
import type { Duration } from '../../../plugin-api/index.ts';

export interface SlowReaderLimits {
  /**
   * A client for whom more than {@link heldBytes} wait must take {@link leastProgress} bytes within this time and a second more for each
   * {@link leastProgress} that wait: what was written in one piece is only seen to be taken when all of it is.
   */
  readonly patience: Duration;
  /** So many bytes may wait for one client for as long as the idle timeout allows. */
  readonly heldBytes: number;
  readonly leastProgress: number;
  /** Bytes that may wait for all clients of the listener; beyond it those go for whom most waits. */
  readonly allBytes: number;
}

interface Watched {
  /** Bytes that the kernel had taken, when it was looked last that were enough. */
  taken: number;
  since: number;
}

/** How often it looks in one `patience`, and at least each so many milliseconds: memory fills quickly. */
const looks = 4;
const longestPause = 1_000;

/**
 * Answers that wait for their readers lie in our memory. Looks at the connections of a listener from time to time, and cuts those whose
 * readers are so slow that it must be on purpose, and those with most to wait for when it becomes too much in all.
 */
export class SlowReaders {
  readonly #limits: SlowReaderLimits;
  readonly #cut: (socket: Socket) => void;
  readonly #watched = new Map<Socket, Watched>();
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: SlowReaderLimits, cut: (socket: Socket) => void) {
    this.#limits = limits;
    this.#cut = cut;
  }

  watch(socket: Socket): void {
    this.#watched.set(socket, { taken: 0, since: performance.now() });
    socket.once('close', () => this.#forget(socket));
    this.#timer ??= setInterval(
      () => this.#look(),
      Math.min(longestPause, this.#limits.patience / looks),
    ).unref();
  }

  #forget(socket: Socket): void {
    this.#watched.delete(socket);
    if (this.#watched.size > 0 || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    const { patience, heldBytes, leastProgress, allBytes } = this.#limits;
    const now = performance.now();
    const waiting: (readonly [socket: Socket, bytes: number])[] = [];
    let all = 0;
    for (const [socket, seen] of [...this.#watched]) {
      const held = socket.writableLength;
      const taken = socket.bytesWritten - held;
      if (held <= heldBytes || taken - seen.taken >= leastProgress) {
        seen.taken = taken;
        seen.since = now;
      } else if (now - seen.since >= patience + (1_000 * held) / leastProgress) {
        this.#cut(socket);
        continue;
      }
      all += held;
      if (held > 0) waiting.push([socket, held]);
    }
    if (all <= allBytes) return;
    waiting.sort(([, a], [, b]) => b - a);
    for (const [socket, held] of waiting) {
      if (all <= allBytes) return;
      all -= held;
      this.#cut(socket);
    }
  }
}
