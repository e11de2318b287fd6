import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csbm } from '../cli/run-csbm.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { openStorage } from '../../src/store/open-storage.ts';

describe('csbm backup and restore where something is in the way', () => {
  let folder: string;
  const config = (): string => join(folder, 'csbm.yaml');

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-way-'));
    writeFileSync(config(), 'stateDir: ./state\n');
    const state = join(folder, 'state');
    execFileSync('mkdir', ['-m', '700', state]);
    const key = { file: join(state, 'secret.key') };
    const file = join(state, 'csbm.sqlite');
    const storage = await openStorage({ type: 'sqlite', file, key, clock: new SystemClock() });
    const text = randomBytes(4_000).toString('hex');
    await storage.run(async (tx) => {
      for (let n = 0; n < 300; n += 1)
        await tx.alarms.insert({ id: `al-${n}`, at: n, code: 'restore.accepted', machineId: null, text });
    });
    await storage.close();
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  // It was told as a fault of csbm's own, with a stack, once even as that of a connection.
  it('a restore says that the disk is full, and leaves the database as it was', async function () {
    const small = join(folder, 'small');
    const from = join(folder, 'monday');
    assert.equal((await csbm(['backup', from, '--config', config()])).code, 0);
    execFileSync('mkdir', [small]);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=700k', 'none', small]).status !== 0) this.skip();
    try {
      const here = join(small, 'csbm.yaml');
      writeFileSync(here, `secrets: {keyFile: ${folder}/state/secret.key}\nstateDir: ${small}\n`);
      const { code, out } = await csbm(['restore', from, '--config', here, '--json']);
      assert.equal(code, 1);
      const { error } = JSON.parse(out) as {
        readonly error: { readonly code: string; readonly what: string };
      };
      assert.deepEqual([error.code, error.what], ['store.unavailable', 'the disk of the database is full']);
      const left = readdirSync(small).filter((name) => name.startsWith('csbm.sqlite'));
      assert.deepEqual(left, ['csbm.sqlite.lock']);
    } finally {
      spawnSync('umount', ['--lazy', small]);
    }
  });

  it('a backup says that the file is no database', async () => {
    writeFileSync(join(folder, 'state', 'csbm.sqlite'), randomBytes(10_000));
    const { code, out } = await csbm(['backup', join(folder, 'b'), '--config', config(), '--json']);
    assert.equal(code, 1);
    assert.equal((JSON.parse(out) as { error: { code: string } }).error.code, 'store.unavailable');
  });

  // The backup was written, the key was not, and the command failed: the same again then failed over the backup.
  it('a backup whose key cannot be copied is not begun', async () => {
    const taken = join(folder, 'key');
    writeFileSync(taken, 'mine');
    const { code } = await csbm(['backup', join(folder, 'b'), '--with-key', taken, '--config', config()]);
    assert.equal(code, 1);
    assert.ok(!existsSync(join(folder, 'b')));
    assert.equal(readFileSync(taken, 'utf8'), 'mine');
  });
});
