/** A bench: measures something of ours and its reference in the same run, by turns, because machines and their load differ. */
export interface Bench {
  readonly name: string;
  /** One line: what is measured against what. */
  readonly compares: string;
  /** Takes at most two minutes. @throws BenchSkipped when something that it needs is not here. */
  readonly run: () => Promise<readonly Figure[]>;
}

/** A row of the table. */
export interface Figure {
  readonly what: string;
  /** With unit, as text: what was measured, and the same of the reference. */
  readonly ours: string;
  readonly reference: string;
  /** Ours over the reference's; NaN where there is no reference. */
  readonly ratio: number;
  /** Bound of the ratio; null where the figure is only told. */
  readonly target: { readonly atLeast: number } | { readonly atMost: number } | null;
}

/** A bench cannot run here; the message says what to do, for example `apt-get install nginx-light`. */
export class BenchSkipped extends Error {}

export function isReached({ ratio, target }: Figure): boolean {
  if (target === null) return true;
  return 'atLeast' in target ? ratio >= target.atLeast : ratio <= target.atMost;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
