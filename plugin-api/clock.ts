/** A length of time in milliseconds. Made by {@link milliseconds}, {@link seconds}, {@link minutes}. */
export type Duration = number & { readonly __brand: 'Duration' };

export const milliseconds = (n: number): Duration => n as Duration;
export const seconds = (n: number): Duration => (n * 1_000) as Duration;
export const minutes = (n: number): Duration => (n * 60_000) as Duration;

/** Time, injected everywhere so that tests need no sleep and waits survive clock jumps. */
export interface Clock {
  /** Wall time in epoch milliseconds: for records and protocols, never for measuring. */
  now(): number;
  /** Milliseconds that only go forward, from an arbitrary origin: for timeouts and leases. */
  monotonic(): number;
  /** Resolves after `time`; rejects with the signal's reason when it is aborted first. */
  sleep(time: Duration, signal?: AbortSignal): Promise<void>;
  /** Calls `wake` after `time` unless the returned function was called before: for waits in great number. Use `startTimer`, which does without. */
  timer?(time: Duration, wake: () => void): () => void;
}
