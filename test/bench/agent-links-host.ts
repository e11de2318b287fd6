/** The id of a host of the bench at every management server, in every process. */
export const hostIdOf = (index: number): bigint => 1_000n + BigInt(index);
