import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load-config.ts';

const load = (section: string) => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-config-'));
  const path = join(folder, 'csbm.yaml');
  writeFileSync(path, `retention: ${section}\n`);
  try {
    return loadConfig({ path, env: {} }).config.retention;
  } finally {
    rmSync(folder, { recursive: true });
  }
};

describe('configuration: retention', () => {
  it('keeps what happened for half a year, unless said otherwise', () => {
    const day = 24 * 60 * 60_000;
    const { timeline, operations, bootConversations } = load('{}');
    assert.deepEqual([timeline, operations, bootConversations], [180 * day, 180 * day, 30 * day]);
    assert.equal(load('{timeline: 3650d}').timeline, 3650 * day);
  });

  it('refuses to forget what may still be asked for', () => {
    assert.throws(() => load('{operations: 5m}'), /operations/);
    assert.throws(() => load('{nonces: 10m}'), /at least 11m/);
  });
});
