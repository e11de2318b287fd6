import { readFileSync } from 'node:fs';
import type { Clock } from '../../../plugin-api/index.ts';
import { SystemClock } from '../../kernel/clock/system-clock.ts';

/**
 * A test facility, and nothing for production: a wall clock that jumps. `CSBM_TEST_CLOCK_FILE` names a file with the
 * milliseconds by which it is off, which may be written anew at any time. The steady clock goes on as it is.
 */
export function clockHook(env: Readonly<Record<string, string | undefined>>): Clock | undefined {
  const file = env['CSBM_TEST_CLOCK_FILE'];
  return file === undefined ? undefined : new ShiftedClock(file);
}

class ShiftedClock extends SystemClock {
  readonly #file: string;

  constructor(file: string) {
    super();
    this.#file = file;
  }

  override now(): number {
    return super.now() + Number(readFileSync(this.#file, 'utf8'));
  }
}
