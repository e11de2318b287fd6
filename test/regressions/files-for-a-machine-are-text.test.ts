import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { csbm } from '../cli/run-csbm.ts';

// Compressed user data was read as text, and went out with replacement characters; and a private key went out as if it were a public one.
describe('csbm machine start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-files-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const start = async (more: readonly string[]): Promise<readonly [number | null, string]> => {
    const order = ['machine', 'start', 'node-1', '--id', 'c/i-1', '--template', 'debian', ...more];
    const { code, err } = await csbm(order, {
      // Nothing listens there: whatever is sent ends with another code.
      env: { CSBM_URL: 'http://127.0.0.1:1', CSBM_TOKEN: 'x' },
      cwd: folder,
    });
    return [code, err];
  };

  it('refuses user data that is no text', async () => {
    writeFileSync(join(folder, 'user-data.gz'), gzipSync('#cloud-config\n'));
    const [code, err] = await start(['--user-data', 'user-data.gz']);
    assert.equal(code, 1, err);
    assert.match(err, /not text/);
  });

  it('refuses a private key, and repeats nothing of it', async () => {
    writeFileSync(
      join(folder, 'id'),
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n',
    );
    const [code, err] = await start(['--ssh-key', 'id']);
    assert.equal(code, 2, err);
    assert.doesNotMatch(err, /b3BlbnNz/);
  });
});
