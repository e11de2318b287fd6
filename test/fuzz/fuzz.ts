import { Session } from 'node:inspector/promises';
import type { FuzzTarget } from './fuzz-target.ts';
import { mutate, randomFrom } from './mutate.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Ends after so many inputs, or milliseconds, whichever comes first. */
  readonly runs?: number;
  readonly time?: number;
  /** More inputs to begin with: the corpus. */
  readonly corpus?: readonly Buffer[];
}

export interface FuzzOutcome {
  readonly runs: number;
  /** Inputs that reached code which none before them had reached. */
  readonly found: readonly Buffer[];
  /** Code blocks reached. */
  readonly blocks: number;
  readonly crash: { readonly input: Buffer; readonly error: Error } | null;
}

/** One input may take so long, in milliseconds, before it counts as a crash: parsers are linear. Generous, for loaded machines. */
const slowest = 2_000;
/** V8's coverage costs a millisecond to ask for: it is asked for after a handful of inputs, and one by one when the handful reached something. */
const handful = 16;
const defaultLongest = 4_096;

/**
 * Coverage-guided fuzzing by what V8 counts by itself: nothing is instrumented, so that what runs is what is shipped, on any Node.
 * The same seed and number of runs give the same inputs.
 */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzOutcome> {
  const { seed, runs: most = Infinity, time = Infinity, corpus = [] } = options;
  const random = randomFrom(seed);
  const coverage = await Coverage.start(target.covers);
  const pool: Buffer[] = [];
  const found: Buffer[] = [];
  let runs = 0;
  const outcome = (crash: FuzzOutcome['crash']): FuzzOutcome => ({
    runs,
    found,
    blocks: coverage.blocks,
    crash,
  });
  try {
    for (const input of [...target.seeds, ...corpus]) {
      runs += 1;
      const error = await attempt(target, input);
      if (error) return outcome({ input, error });
      pool.push(input);
    }
    await coverage.news();
    const end = performance.now() + time;
    while (runs < most && performance.now() < end) {
      const batch = Array.from({ length: Math.min(handful, most - runs) }, () => {
        const one = pool[Math.floor(random() * pool.length)]!;
        const other = pool[Math.floor(random() * pool.length)]!;
        return mutate(one, other, target.words ?? [], target.longest ?? defaultLongest, random);
      });
      for (const input of batch) {
        runs += 1;
        const error = await attempt(target, input);
        if (error) return outcome({ input, error });
      }
      const reached = await coverage.news();
      if (reached.size === 0) continue;
      for (const input of batch) {
        await attempt(target, input);
        if (!(await coverage.reaches(reached))) continue;
        pool.push(input);
        found.push(input);
        if (reached.size === 0) break;
      }
    }
    return outcome(null);
  } finally {
    await coverage.stop();
  }
}

/** What is wrong with how the target took the input; null = nothing. */
export async function attempt(target: FuzzTarget, input: Buffer): Promise<Error | null> {
  const began = performance.now();
  try {
    await target.run(Buffer.from(input));
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(`thrown: ${String(thrown)}`);
  }
  const took = performance.now() - began;
  return took > slowest ? new Error(`${input.length} bytes took ${Math.round(took)} ms`) : null;
}

/** A place in the code that was reached, and how often: once, some times, many times. Loops are told apart by it. */
interface Reached {
  readonly code: string;
  readonly offset: number;
  readonly bit: number;
}

class Coverage {
  readonly #session = new Session();
  readonly #covers: RegExp;
  /** By function: for each of its characters, the magnitudes that were seen, as bits. */
  readonly #seen = new Map<string, Uint8Array>();
  #places = 0;

  static async start(covers: RegExp): Promise<Coverage> {
    const coverage = new Coverage(covers);
    coverage.#session.connect();
    await coverage.#session.post('Profiler.enable');
    await coverage.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    return coverage;
  }

  private constructor(covers: RegExp) {
    this.#covers = covers;
  }

  get blocks(): number {
    return this.#places;
  }

  /** Places that were reached since it was asked last, and never before; of each block the first character. */
  async news(): Promise<Set<Reached>> {
    const fresh = new Set<Reached>();
    for (const [code, bits] of await this.#taken()) {
      let seen = this.#seen.get(code);
      if (!seen) this.#seen.set(code, (seen = new Uint8Array(bits.length)));
      let before = 0;
      for (let offset = 0; offset < bits.length; offset += 1) {
        const bit = bits[offset]! & ~seen[offset]!;
        seen[offset]! |= bit;
        if (bit !== 0 && bit !== before) fresh.add({ code, offset, bit });
        before = bit;
      }
    }
    this.#places += fresh.size;
    return fresh;
  }

  /** Whether one of these was reached since it was asked last, however often; those that were are taken out. */
  async reaches(wanted: Set<Reached>): Promise<boolean> {
    const taken = await this.#taken();
    const hit = [...wanted].filter(({ code, offset }) => (taken.get(code)?.[offset] ?? 0) !== 0);
    for (const one of hit) wanted.delete(one);
    return hit.length > 0;
  }

  async stop(): Promise<void> {
    await this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /**
   * Taking it sets all counts to zero. V8 names a block within a function only where its count is another one than that around it, so
   * that blocks are painted over each other, the inner ones last.
   */
  async #taken(): Promise<ReadonlyMap<string, Uint8Array>> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    const painted = new Map<string, Uint8Array>();
    for (const { url, functions } of result.filter((script) => this.#covers.test(script.url)))
      for (const { ranges } of functions) {
        const { startOffset: start, endOffset: end, count } = ranges[0]!;
        if (count === 0) continue;
        const bits = new Uint8Array(end - start);
        for (const range of ranges)
          bits.fill(magnitude(range.count), range.startOffset - start, range.endOffset - start);
        painted.set(`${url}:${start}-${end}`, bits);
      }
    return painted;
  }
}

function magnitude(count: number): number {
  return count === 0 ? 0 : 1 << Math.min(7, Math.floor(Math.log2(count) / 2));
}
