import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csbm } from './run-csbm.ts';

describe('csbm config', () => {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'csbm-cli-config-'));
  });
  afterEach(() => rmSync(cwd, { recursive: true }));

  it('check names the file that is right, or says that the defaults hold', async () => {
    const defaults = await csbm(['config', 'check'], { cwd });
    assert.deepEqual([defaults.code, defaults.err], [0, '']);
    assert.match(defaults.out, /defaults hold/);
    writeFileSync(join(cwd, 'csbm.yaml'), 'http: {port: 9000}\n');
    const right = await csbm(['config', 'check', '--json'], { cwd, env: { CSBM_HTTP_PROT: '1' } });
    assert.equal(right.code, 0);
    const document = JSON.parse(right.out) as { ok: boolean; file: string; warnings: string[] };
    assert.equal(document.file, join(cwd, 'csbm.yaml'));
    assert.match(document.warnings.join(), /CSBM_HTTP_PROT/);
  });

  it('check lists everything that is wrong with its line, and repeats no secret', async () => {
    const lines = ['http:', '  prot: 9000', 'log: {level: loud}', 'admin: {token: s3cr3t-t0ken}', ''];
    writeFileSync(join(cwd, 'other.yaml'), lines.join('\n'));
    const { code, out, err } = await csbm(['config', 'check', '--config', 'other.yaml', '--json'], { cwd });
    assert.equal(code, 1);
    const { error } = JSON.parse(out) as {
      error: { code: string; problems: { line: number; key: string; remedy: string }[] };
    };
    assert.equal(error.code, 'config.invalid');
    assert.deepEqual(error.problems.map(({ line, key }) => [line, key]).sort(), [
      [2, 'http.prot'],
      [3, 'log.level'],
      [4, 'admin.token'],
    ]);
    assert.match(err, /line 2, column 3, http\.prot: the key is unknown/);
    assert.match(err, /line 4, .*env:NAME or file:\/path/);
    assert.ok(!`${out}${err}`.includes('s3cr3t'));
  });

  it('a file that is not there is an error, not the defaults', async () => {
    const { code, err } = await csbm(['config', 'check', '--config', 'absent.yaml'], { cwd });
    assert.equal(code, 1);
    assert.match(err, /absent\.yaml: the file cannot be read \(ENOENT\)/);
  });

  it('show-reference is docs/config.md', async () => {
    const page = readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8');
    assert.equal((await csbm(['config', 'show-reference'])).out, page);
    const document = JSON.parse((await csbm(['config', 'show-reference', '--json'])).out) as {
      settings: { path: string[]; env: string | null }[];
    };
    const port = document.settings.find(({ path }) => path.join('.') === 'http.port');
    assert.equal(port?.env, 'CSBM_HTTP_PORT');
  });
});
