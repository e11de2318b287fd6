import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareStateFolder } from '../../src/composition/state-folder.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { makeFolder } from '../../src/kernel/files/make-folder.ts';
import { ended, startCsbm } from '../cli/run-csbm.ts';

/** Below /proc the service tried for ever to make its folder, without a word; elsewhere it spoke of the database. */
describe('a state folder that cannot be made', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-state-'));
    writeFileSync(join(folder, 'file'), '');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('in /proc, is told at once', async () => {
    writeFileSync(join(folder, 'csbm.yaml'), 'stateDir: /proc/csbm/state\nhttp: {port: 0}\n');
    const { code, out } = await ended(startCsbm(['serve', '--json'], { cwd: folder }));
    assert.equal(code, 1);
    const { error } = JSON.parse(out) as { error: { code: string; where: string; what: string } };
    assert.deepEqual([error.code, error.where], ['config.invalid', '/proc/csbm/state']);
    assert.match(error.what, /stateDir cannot be used/);
  });

  for (const place of ['file/state', 'file'])
    it(`as ${place}, where there is a file, is told before anything is opened`, () => {
      writeFileSync(join(folder, 'csbm.yaml'), `stateDir: ./${place}\n`);
      const { config } = loadConfig({ env: {}, cwd: folder });
      assert.throws(() => prepareStateFolder(config), {
        code: 'config.invalid',
        where: join(folder, place),
      });
    });

  it('one that can be made is made, with those above it, for us alone', () => {
    const deep = join(folder, 'a', 'b', 'c');
    makeFolder(deep);
    assert.equal(statSync(deep).mode & 0o777, 0o700);
    makeFolder(deep);
    mkdirSync(join(folder, 'd'), { mode: 0o755 });
    makeFolder(join(folder, 'd'));
    assert.equal(statSync(join(folder, 'd')).mode & 0o777, 0o755);
    assert.throws(() => makeFolder(join(folder, 'file', 'x')), /ENOTDIR/);
    assert.throws(() => makeFolder(join(folder, 'file')), /EEXIST/);
  });
});
