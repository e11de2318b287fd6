import { Mutex } from '../../../kernel/concurrency/mutex.ts';

/**
 * What all objects for one BMC address share, so that the address sees one session and one command at a time whatever
 * users and passwords it is opened with.
 */
export class BmcLine {
  /** Commands, one at a time. */
  readonly commands = new Mutex();
  /** Whole actions (turn, cycle, boot device, ...), one at a time; readings go between their commands. */
  readonly actions = new Mutex();
  /** Who has the session. */
  holder: { endSession(): Promise<void> } | null = null;
}

/** Runs `task` when its turn comes; a waiter whose signal is aborted leaves at once. */
export function inTurn<T>(queue: Mutex, task: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let started = false;
    const leave = (): void => {
      if (!started) reject(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    queue
      .run(async () => {
        started = true;
        signal.throwIfAborted();
        return task();
      })
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', leave));
  });
}
