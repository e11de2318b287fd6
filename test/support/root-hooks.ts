/**
 * Root hooks of the whole suite.
 *
 * mocha 12 lets unhandled rejections pass, so they are collected here and fail the test that was running. After the last
 * test the names of whatever keeps the process alive are printed, because the suite runs without `--exit` on purpose, and a
 * minute later it is ended as failed; but not one of several processes (`--parallel`), which lives on for the next file.
 */
const rejections: unknown[] = [];
process.on('unhandledRejection', (reason) => rejections.push(reason));

export const mochaHooks = {
  afterEach(): void {
    const first = rejections.shift();
    rejections.length = 0;
    if (first !== undefined)
      throw first instanceof Error ? first : new Error(`unhandled rejection: ${JSON.stringify(first)}`);
  },
  afterAll(): void {
    if (process.env['MOCHA_WORKER_ID'] !== undefined) return;
    const told = (): string => process.getActiveResourcesInfo().join(', ');
    setTimeout(() => process.stderr.write(`still open after the last test: ${told()}\n`), 5_000).unref();
    setTimeout(() => {
      process.stdout.write(`FAILED: the process does not end: ${told()}\n`);
      process.exit(1);
    }, 60_000).unref();
  },
};
