/** Runs one task at a time, in the order of asking. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Tasks running or waiting. */
  get depth(): number {
    return this.#waiting;
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    const turn = this.#tail.then(task).finally(() => {
      this.#waiting -= 1;
    });
    // The chain goes on whatever becomes of one task; its own caller sees the failure.
    this.#tail = turn.catch(() => undefined);
    return turn;
  }
}
