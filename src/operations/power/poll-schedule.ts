/**
 * When what is due, for some ten thousand things: adding, moving and taking out cost the same whatever their number. Times
 * are rounded up to a whole tick.
 */
export class PollSchedule<T> {
  readonly #tick: number;
  readonly #slots = new Map<number, Set<T>>();
  readonly #slotOf = new Map<T, number>();
  /** Everything before this slot was handed out. */
  #next: number;

  /** `tick` and `now` in milliseconds. */
  constructor(tick: number, now: number) {
    this.#tick = tick;
    this.#next = Math.floor(now / tick);
  }

  /** Makes it due at that time, and at no other. */
  set(item: T, at: number): void {
    this.remove(item);
    const slot = Math.max(this.#next, Math.ceil(at / this.#tick));
    const items = this.#slots.get(slot) ?? new Set();
    this.#slots.set(slot, items.add(item));
    this.#slotOf.set(item, slot);
  }

  remove(item: T): void {
    const slot = this.#slotOf.get(item);
    if (slot === undefined) return;
    this.#slotOf.delete(item);
    const items = this.#slots.get(slot);
    items?.delete(item);
    if (items?.size === 0) this.#slots.delete(slot);
  }

  /** Takes out what is due by now, the earliest first. */
  due(now: number): T[] {
    const found: T[] = [];
    for (const last = Math.floor(now / this.#tick); this.#next <= last; this.#next += 1) {
      for (const item of this.#slots.get(this.#next) ?? []) {
        this.#slotOf.delete(item);
        found.push(item);
      }
      this.#slots.delete(this.#next);
    }
    return found;
  }
}
