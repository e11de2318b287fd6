import { seededRandom } from '../../lab/bmc/seeded-random.ts';

/** Everything that is drawn for a run comes from one number: the same seed draws the same run. */
export class Draw {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
    // Neighbouring seeds begin alike.
    for (let n = 0; n < 3; n += 1) this.#next();
  }

  /** A stream of its own: what is drawn from it does not shift what is drawn here. */
  sub(): Draw {
    return new Draw(Math.floor(this.#next() * 2 ** 32));
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** From `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!;
  }

  /** One of the values, each as likely as its weight. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.#next() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of choices) {
      left -= weight;
      if (left < 0) return value;
    }
    return choices.at(-1)![1];
  }
}
