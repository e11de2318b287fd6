/** Milliseconds of a turn of the event loop for which one task is let in. */
const pace = 10;

/**
 * Runs tasks in the order of asking, one in each turn of the event loop, so that everything else gets its turn between two of them:
 * for pieces of work of some milliseconds that come by the hundred. A loop that turns slowly, on a machine that has too much to
 * do, takes more of them in a turn: who waits here must not wait for ever.
 */
export class LoopTurns {
  readonly #now: () => number;
  readonly #waiting: (() => void)[] = [];
  #turned = 0;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** `task` runs later, never at once. */
  run(task: () => void): void {
    this.#waiting.push(task);
    if (this.#waiting.length > 1) return;
    this.#turned = this.#now();
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    const now = this.#now();
    const due = Math.max(1, Math.floor((now - this.#turned) / pace));
    this.#turned = now;
    try {
      for (let ran = 0; ran < due && this.#waiting.length > 0; ran += 1) this.#runFirst();
    } finally {
      if (this.#waiting.length > 0) setImmediate(() => this.#turn());
    }
  }

  /** What it asks for comes behind those that wait, also when nobody else does. */
  #runFirst(): void {
    try {
      this.#waiting[0]!();
    } finally {
      this.#waiting.shift();
    }
  }
}
