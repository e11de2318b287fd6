import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(
  new URL('../../src/drivers/deploy/native/agent/kernel-package.sh', import.meta.url),
);

/** The script stopped reading at the first match; on a loaded machine apt-cache then died of SIGPIPE, and the build with it. */
describe('regression: kernel-package.sh and an apt-cache that has more to say', () => {
  it('reads it to the end', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'csbm-kernel-'));
    try {
      const unpacked = path.join(folder, 'linux-image-6.1.0-9-amd64_6.1.9-1');
      mkdirSync(unpacked);
      writeFileSync(path.join(unpacked, '.complete'), '');
      // More than a pipe holds, after the line that counts.
      const tell = (line: string): string => `echo '${line}'; yes 'something else' | head -c 1000000`;
      writeFileSync(
        path.join(folder, 'apt-cache'),
        `#!/bin/sh\ncase $1 in\ndepends) ${tell('  Depends: linux-image-6.1.0-9-amd64')} ;;\nshow) ${tell('Version: 6.1.9-1')} ;;\nesac\n`,
      );
      chmodSync(path.join(folder, 'apt-cache'), 0o755);
      const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}`, KERNEL_PACKAGE: '' };
      assert.equal(
        execFileSync(script, ['amd64', folder], { encoding: 'utf8', env, timeout: 15_000 }).trim(),
        unpacked,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
