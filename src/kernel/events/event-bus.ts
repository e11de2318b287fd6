/** A typed publish/subscribe bus inside the process. Listeners are called at once and must not throw. */
export class EventBus<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Subscribes; the returned function unsubscribes. */
  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void): () => void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    for (const listener of this.#listeners.get(name) ?? []) (listener as (event: Events[K]) => void)(event);
  }
}
