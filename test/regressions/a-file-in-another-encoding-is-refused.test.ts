import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSecretFile } from '../../src/cli/secret-file.ts';
import { csbm } from '../cli/run-csbm.ts';

// A rack config or a password file in Latin-1 was read with U+FFFD in the place of each umlaut: another password than the one in the file
// was stored, and every login failed; a byte order mark made a password of Windows' editor another one.
describe('a file in another encoding', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-encoding-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const secret = (bytes: Buffer): string => {
    writeFileSync(join(folder, 'secret'), bytes);
    return readSecretFile({ cwd: folder }, 'secret');
  };

  it('is no secret file', () => {
    assert.throws(() => secret(Buffer.from('pässwort\n', 'latin1')), { code: 'secret.unresolved' });
    assert.equal(secret(Buffer.from('pässwort\r\n')), 'pässwort');
    assert.equal(secret(Buffer.from('\uFEFFpässwort\n')), 'pässwort');
  });

  it('is no rack config', async () => {
    const l2Switch = { ip: '192.0.2.1', username: 'a', password: 'pässwort', type: 'Force10' };
    const text = JSON.stringify({ racks: [{ l2Switch, hosts: [] }] });
    writeFileSync(join(folder, 'latin1.json'), Buffer.from(text, 'latin1'));
    writeFileSync(join(folder, 'utf8.json'), `\uFEFF${text}`);
    const wrong = await csbm(['rack', 'check', 'latin1.json'], { cwd: folder });
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /not text in UTF-8/);
    assert.equal((await csbm(['rack', 'check', 'utf8.json'], { cwd: folder })).code, 0);
    assert.equal((await csbm(['rack', 'check', '-'], { stdin: text })).code, 0);
  });
});
