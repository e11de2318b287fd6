import { Semaphore } from '../../../kernel/concurrency/semaphore.ts';

/**
 * What all objects for one BMC address share, so that the address sees one session and one command at a time whatever
 * users and passwords it is opened with.
 */
export class BmcLine {
  /** Called when its holder leaves it for good. */
  readonly onLeft: () => void;

  constructor(onLeft: () => void = () => undefined) {
    this.onLeft = onLeft;
  }

  /** Commands, one at a time. */
  readonly commands = new Semaphore(1);
  /** Whole actions (turn, cycle, boot device, ...), one at a time; readings go between their commands. */
  readonly actions = new Semaphore(1);
  /** Who has the session, or had the last one. */
  holder: { endSession(): Promise<void>; leave(): Promise<void> } | null = null;
}

/** Runs `task` when its turn comes; a waiter whose signal is aborted leaves at once. */
export function inTurn<T>(queue: Semaphore, task: () => Promise<T>, signal: AbortSignal): Promise<T> {
  if (queue.free) return queue.run(task);
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
