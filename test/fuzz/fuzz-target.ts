/** Something that takes what a stranger sent. */
export interface FuzzTarget {
  /** As `TARGET=` and the corpus folder have it. */
  readonly name: string;
  /** What is known to be good, or known to have been bad: mutations begin there. */
  readonly seeds: readonly Buffer[];
  /** Pieces of the format, put in here and there. */
  readonly words?: readonly string[];
  /** Longest input, in bytes (default 4096). */
  readonly longest?: number;
  /** Which files' coverage guides the search: the end of their URL. */
  readonly covers: RegExp;
  /** Takes the input. @throws whatever is a crash; refusals that belong to the format are caught in here. */
  readonly run: (input: Buffer) => void | Promise<void>;
}
