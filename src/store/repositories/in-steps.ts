/**
 * The values, the last one repeated until their number is a power of two: lists of any length make few different statements,
 * each of which is composed and prepared once.
 */
export function inSteps<T>(values: readonly T[]): readonly T[] {
  const last = values.at(-1);
  if (last === undefined) return values;
  const length = 2 ** Math.ceil(Math.log2(values.length));
  return [...values, ...Array<T>(length - values.length).fill(last)];
}
