import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { minutes, seconds } from '../../plugin-api/index.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';

describe('configuration of the ramdisk and of images', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-boot-config-'));
  after(() => rmSync(folder, { recursive: true }));

  const load = (text: string) => {
    const path = join(folder, 'csbm.yaml');
    writeFileSync(path, text);
    return loadConfig({ path, env: {} }).config;
  };
  const refuses = (text: string, key: string): void =>
    assert.throws(
      () => load(text),
      (error) => error instanceof ConfigError && error.problems.some((problem) => problem.key === key),
      text,
    );

  it('listens for LLDP a little longer than switches are silent, unless told otherwise', () => {
    assert.equal(load('').boot.lldp, seconds(35));
    assert.equal(load('boot: {lldp: 2m}').boot.lldp, minutes(2));
    for (const off of ['off', '"off"', 'false']) assert.equal(load(`boot: {lldp: ${off}}`).boot.lldp, 0);
    for (const wrong of ['0s', '1500ms', '6m', 'on', 'true', '35', '-1s'])
      refuses(`boot: {lldp: ${wrong}}`, 'boot.lldp');
  });

  it('converts images within two hours, and none above 256 GiB', () => {
    assert.deepEqual(load('').provisioning.conversion, {
      qemuImg: 'qemu-img',
      timeout: minutes(120),
      maxRawGiB: 256,
    });
    refuses('provisioning: {conversion: {maxRawGiB: 0}}', 'provisioning.conversion.maxRawGiB');
    refuses('provisioning: {conversion: {timeout: soon}}', 'provisioning.conversion.timeout');
  });
});
