/** A setting of a campaign, from the environment. @throws Error unless it is a number above 0 */
export const number = (name: string, usual: number): number => {
  const text = process.env[name];
  if (text === undefined || text === '') return usual;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${name}=${text}: write a number above 0`);
};

/** The same for one of several words; the first is the usual one. */
export const choice = <T extends string>(name: string, choices: readonly T[]): T => {
  const text = process.env[name];
  if (text === undefined || text === '') return choices[0]!;
  const found = choices.find((one) => one === text);
  if (found !== undefined) return found;
  throw new Error(`${name}=${text}: write ${choices.join(' or ')}`);
};
