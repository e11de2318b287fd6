/** Waits for a condition of the outside world, looking often; fails loudly when it never comes true. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = 'the condition',
  milliseconds = 30_000,
): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${milliseconds} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
