/** Resolves as soon as the condition holds; looks again every few milliseconds. @throws Error after `within` milliseconds. */
export async function until(what: string, holds: () => boolean, within = 10_000): Promise<void> {
  const end = performance.now() + within;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
