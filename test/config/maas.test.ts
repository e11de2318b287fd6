import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';

describe('configuration of the MAAS API', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-maas-config-'));
  after(() => rmSync(folder, { recursive: true }));

  const load = (text: string) => {
    const path = join(folder, 'csbm.yaml');
    writeFileSync(path, `maas: ${text}`);
    return loadConfig({ path, env: {} }).config.maas;
  };
  const refuses = (text: string, key: string): void =>
    assert.throws(
      () => load(text),
      (error) => error instanceof ConfigError && error.problems.some((problem) => problem.key === key),
      text,
    );

  it('is off, on loopback, and speaks like MAAS 3.5 with our better defaults, unless told otherwise', () => {
    const { tls, ...settings } = load('{}');
    assert.deepEqual(tls, {});
    assert.deepEqual(settings, {
      enabled: false,
      host: '127.0.0.1',
      port: 5240,
      allowPlain: false,
      reportedVersion: '3.5.0',
      eraseShownAs: 'Disk erasing',
      releasingFor: [],
      strict: null,
    });
    assert.equal(load('{strict: canonical, eraseShownAs: Releasing}').strict, 'canonical');
  });

  it('refuses what it does not know, and to be reached by others without TLS', () => {
    refuses('{strict: yes}', 'maas.strict');
    refuses('{eraseShownAs: Erased}', 'maas.eraseShownAs');
    refuses('{enabled: true, host: 0.0.0.0}', 'maas.host');
    load('{host: 0.0.0.0}');
    load('{enabled: true, host: 0.0.0.0, allowPlain: true}');
    load('{enabled: true, host: 0.0.0.0, tls: {certFile: c, keyFile: k}}');
  });
});
