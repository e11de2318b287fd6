import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load-config.ts';
import { requirePeer } from '../support/peers.ts';

const source = fileURLToPath(new URL('../../deploy/systemd/', import.meta.url));

function run(args: readonly string[]): Promise<{ readonly code: number; readonly said: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' };
    execFile('systemd-analyze', args, { env }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, said: `${out}${err}` }),
    );
  });
}

describe('systemd unit', function () {
  this.timeout(60_000);
  let folder: string;
  let unit: string;
  before(function () {
    requirePeer(this, 'systemd-analyze');
    folder = mkdtempSync(join(tmpdir(), 'csbm-unit-'));
    unit = join(folder, 'csbm.service');
    cpSync(join(source, 'csbm.service'), unit);
    // What is not installed here cannot be looked for.
    writeFileSync(unit, readFileSync(unit, 'utf8').replace('/usr/bin/csbm', process.execPath));
  });
  after(() => folder && rmSync(folder, { recursive: true, force: true }));

  const withProvisioning = (): void => {
    mkdirSync(`${unit}.d`, { recursive: true });
    cpSync(
      join(source, 'csbm.service.d', 'provisioning.conf.example'),
      join(`${unit}.d`, 'provisioning.conf'),
    );
  };

  it('is understood to the last line, with and without the addition for dnsmasq', async () => {
    for (const prepare of [() => undefined, withProvisioning]) {
      prepare();
      const { said } = await run(['verify', '--man=no', unit]);
      const ours = said.split('\n').filter((line) => line.includes('csbm.service'));
      assert.deepEqual(ours, []);
    }
  });

  it('leaves little open, by systemd’s own judgement', async () => {
    rmSync(`${unit}.d`, { recursive: true, force: true });
    const { code, said } = await run(['security', '--offline=true', '--threshold=20', '--no-pager', unit]);
    assert.equal(code, 0, said);
  });

  it('waits longer than the service takes for its drain', () => {
    const { config } = loadConfig({ env: {}, cwd: '/nowhere' });
    const wait = Number(/^TimeoutStopSec=(\d+)s$/m.exec(readFileSync(unit, 'utf8'))![1]);
    assert.ok(wait * 1_000 >= config.timings.drain + 30_000);
  });
});
