import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';

/** The real clock, whose wall time can be set off. */
export class JumpingClock extends SystemClock {
  /** Milliseconds by which the wall clock is wrong. */
  off = 0;

  override now(): number {
    return super.now() + this.off;
  }

  /** Jumps among these, again and again, until the returned function is called. */
  jumping(offsets: readonly number[], pause = 20): () => void {
    let turn = 0;
    const timer = setInterval(() => {
      this.off = offsets[turn++ % offsets.length]!;
    }, pause);
    return () => {
      clearInterval(timer);
      this.off = 0;
    };
  }
}

/** A clock that moves only when told, whose wall time can be set off besides. */
export class JumpingManualClock extends ManualClock {
  /** Milliseconds by which the wall clock is wrong. */
  off = 0;

  override now(): number {
    return super.now() + this.off;
  }
}
