import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { minutes } from '../../plugin-api/index.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';

const env = {
  KEY: 'the-api-key',
  SECRET: 'the-secret-key',
  TOKEN: 'sixteen-letters!',
  SHORT: 'short-token-123',
};

describe('configuration of CloudStack’s HTTP API and of the direct door', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-cloudstack-config-'));
  after(() => rmSync(folder, { recursive: true }));

  const load = (text: string) => {
    const path = join(folder, 'csbm.yaml');
    writeFileSync(path, `cloudstack: ${text}`);
    return loadConfig({ path, env }).config.cloudstack;
  };
  const refuses = (text: string, key: string): void =>
    assert.throws(
      () => load(text),
      (error) =>
        error instanceof ConfigError &&
        error.problems.some((problem) => problem.key === key) &&
        !Object.values(env).some((secret) => error.message.includes(secret)),
      text,
    );

  it('destroys nothing, and opens nothing, unless told to', () => {
    const { api, reconcile, direct } = load('{}');
    assert.equal(api.url, undefined);
    assert.equal(direct.enabled, false);
    assert.deepEqual(reconcile, {
      enabled: true,
      interval: minutes(5),
      rounds: 3,
      spacing: minutes(4),
      destroy: false,
      maxPerRound: 2,
      maxPercent: 20,
    });
  });

  it('takes an address with both keys, as references', () => {
    const { api } = load(
      '{api: {url: "https://c.example.org/client/api", apiKey: env:KEY, secretKey: env:SECRET}}',
    );
    assert.equal(api.secretKey?.reveal(), 'the-secret-key');
    for (const wrong of ['ftp://a/b', 'https://user:pw@a/client/api', 'https://a/api?x=1', 'a/client/api'])
      refuses(`{api: {url: "${wrong}", apiKey: env:KEY, secretKey: env:SECRET}}`, 'cloudstack.api.url');
    refuses('{api: {url: "https://a/client/api", apiKey: env:KEY}}', 'cloudstack.api.secretKey');
    refuses('{api: {apiKey: env:KEY, secretKey: env:SECRET}}', 'cloudstack.api.url');
    refuses('{api: {url: "https://a/b", apiKey: the-key, secretKey: env:SECRET}}', 'cloudstack.api.apiKey');
  });

  it('looks at least twice before a machine may be taken back', () => {
    for (const [key, wrong] of [
      ['rounds', 1],
      ['maxPerRound', 0],
      ['maxPercent', 101],
    ] as const)
      refuses(`{reconcile: {${key}: ${wrong}}}`, `cloudstack.reconcile.${key}`);
  });

  it('opens the direct door only with a long token, and to others only with TLS', () => {
    assert.equal(load('{direct: {enabled: true, token: env:TOKEN}}').direct.port, 8450);
    refuses('{direct: {enabled: true}}', 'cloudstack.direct.token');
    refuses('{direct: {enabled: true, token: env:SHORT}}', 'cloudstack.direct.token');
    refuses('{direct: {enabled: true, token: env:TOKEN, host: 0.0.0.0}}', 'cloudstack.direct.host');
    load('{direct: {enabled: true, token: env:TOKEN, host: 0.0.0.0, allowPlain: true}}');
    load('{direct: {enabled: true, token: env:TOKEN, host: 0.0.0.0, tls: {certFile: c, keyFile: k}}}');
  });
});
