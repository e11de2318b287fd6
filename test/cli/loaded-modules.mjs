/** Preloaded by a test: says at the end which CommonJS packages the process has loaded. */
import Module from 'node:module';

process.on('exit', () => {
  const packages = Object.keys(Module._cache)
    .map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1])
    .filter((name) => name !== undefined);
  process.stderr.write(`loaded: ${[...new Set(packages)].join(' ')}\n`);
});
