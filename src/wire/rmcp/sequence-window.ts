const span = 2 ** 32;

/** The session sequence number after this one: 0 is never used inside a session. */
export function nextSequence(sequence: number): number {
  return sequence >= span - 1 ? 1 : sequence + 1;
}

/** Whether a packet was sent after another of its session; numbers start again after 2^32 - 1. */
export function isNewer(sequence: number, than: number): boolean {
  const ahead = (sequence - than + span) % span;
  return ahead > 0 && ahead < span / 2;
}

export interface WindowSize {
  /** How far ahead of the highest number seen a packet may be. */
  readonly ahead: number;
  /** How far behind, at most 31. */
  readonly behind: number;
}

/** The window of a BMC, about +15/-16 (IPMI 2.0, section 6.12.13). */
export const bmcWindow: WindowSize = { ahead: 16, behind: 15 };
/** A client takes any authentic packet that it has not seen: real networks lose and reorder. */
export const clientWindow: WindowSize = { ahead: span / 2 - 1, behind: 31 };

/** Tells new session packets from repeated and stale ones. */
export class SequenceWindow {
  readonly #size: WindowSize;
  #highest = 0;
  /** Bit n: the packet n behind the highest was seen. Bit 0 covers the highest itself. */
  #seen = 1;

  constructor(size: WindowSize) {
    this.#size = size;
  }

  /** True exactly once for each acceptable number. Only call it for packets whose authentication code was verified. */
  accept(sequence: number): boolean {
    if (sequence === 0) return false;
    const ahead = (sequence - this.#highest + span) % span;
    if (ahead > 0 && ahead <= this.#size.ahead) {
      this.#seen = ahead > 31 ? 1 : ((this.#seen << ahead) | 1) >>> 0;
      this.#highest = sequence;
      return true;
    }
    const behind = (this.#highest - sequence + span) % span;
    if (behind > this.#size.behind || (this.#seen >>> behind) & 1) return false;
    this.#seen = (this.#seen | (1 << behind)) >>> 0;
    return true;
  }
}
