import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { configReference } from '../../src/config/config-reference.ts';
import { settings } from '../../src/config/config-tree.ts';
import { loadConfig } from '../../src/config/load-config.ts';

describe('configuration reference', () => {
  it('is published as the code has it', () => {
    assert.equal(
      readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8'),
      configReference(),
      'run: node --import tsx src/config/write-reference.ts',
    );
  });

  it('has a row with a meaning for every setting', () => {
    const rows = configReference().split('\n');
    for (const { path, meaning } of settings) {
      assert.match(meaning, /^[A-Z].{10,}/);
      const key = `| \`${(path.length === 1 ? path : path.slice(1)).join('.')}\` `;
      assert.ok(
        rows.some((row) => row.startsWith(key) && row.includes(meaning)),
        key,
      );
    }
  });

  it('shows the defaults that the loader gives', () => {
    const { config } = loadConfig({ env: {}, cwd: '/nowhere' });
    const rows = configReference();
    assert.match(rows, new RegExp(`\`port\` +\\| whole number +\\| \`${config.http.port}\``));
    assert.match(rows, /`file` +\| path +\| `<stateDir>\/csbm.sqlite`/);
    assert.equal(config.store.file, '/nowhere/.csbm/csbm.sqlite');
  });

  it('points at a sample that loads', () => {
    const path = fileURLToPath(new URL('../../rack-config/samples/csbm.yaml', import.meta.url));
    const { config, warnings } = loadConfig({ path, env: {} });
    assert.deepEqual(warnings, []);
    assert.equal(config.cloudstack.agent.servers.length, 2);
    assert.equal(config.cloudstack.agent.caFile, '/etc/csbm/cloudstack-ca.pem');
  });
});
