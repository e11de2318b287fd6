import type { Clock, Duration } from '../../../plugin-api/index.ts';
import type { ServerAddress } from './server-list.ts';

/**
 * What all links together know of the management servers. A server that answers nothing costs whoever dials it the whole time-out, and
 * few links dial at once: what one of them found out, the others need not.
 */
export class ServerHealth {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #awayFor: Duration;
  /** Until when links rather dial another one, monotonic. */
  readonly #awayUntil = new Map<string, number>();
  /** Where dialling failed and no host came up since. */
  readonly #failed = new Set<string>();
  readonly #listeners = new Set<() => void>();

  /** `awayFor`: how long links rather dial others than a server that could not be reached. */
  constructor(clock: Pick<Clock, 'monotonic'>, awayFor: Duration) {
    this.#clock = clock;
    this.#awayFor = awayFor;
  }

  /** Whether a link may dial it, if it has the choice. When the time is over one link may, and finds out for all the others. */
  mayTry(server: ServerAddress): boolean {
    const until = this.#awayUntil.get(nameOf(server));
    if (until === undefined) return true;
    if (this.#clock.monotonic() < until) return false;
    this.#stayAway(server);
    return true;
  }

  /** Dialling failed; `away`: nothing was there, or nothing answered. */
  failed(server: ServerAddress, away: boolean): void {
    this.#failed.add(nameOf(server));
    if (away) this.#stayAway(server);
  }

  /** The server took a host. */
  up(server: ServerAddress): void {
    this.#awayUntil.delete(nameOf(server));
    if (!this.#failed.delete(nameOf(server))) return;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls `listener` whenever a server that had failed took a host again; the returned function ends that. */
  onBack(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #stayAway(server: ServerAddress): void {
    this.#awayUntil.set(nameOf(server), this.#clock.monotonic() + this.#awayFor);
  }
}

const nameOf = ({ host, port }: ServerAddress): string => `${host} ${port}`;
