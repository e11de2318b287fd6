import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chownSync, copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { restoreSqlite } from '../../src/store/backup/restore-backup.ts';
import { sqliteSource } from '../../src/store/backup/sqlite-source.ts';
import { writeBackup } from '../../src/store/backup/write-backup.ts';
import { openStorage, type SqlStorage } from '../../src/store/open-storage.ts';
import { machine } from '../store/samples.ts';

const clock = new SystemClock();

describe('a restore where files of an earlier database lie', () => {
  const key = { base64: new Secret(randomBytes(32).toString('base64')) };
  let folder: string;
  let file: string;
  let from: string;

  const open = (): Promise<SqlStorage> => openStorage({ type: 'sqlite', file, key, clock });

  async function machines(): Promise<readonly string[]> {
    const storage = await open();
    try {
      return (await storage.run((tx) => tx.machines.list())).map(({ hostname }) => hostname);
    } finally {
      await storage.close();
    }
  }

  /** A backup of one machine; then a service that learns of more and is killed, so that all of that lies in the log. */
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-left-'));
    file = join(folder, 'csbm.sqlite');
    from = join(folder, 'one.csbm-backup');
    const storage = await open();
    await storage.run((tx) => tx.machines.insert(machine(1)));
    const source = sqliteSource(file);
    await writeBackup({ source, file: from, version: '1.2.3', now: 1_000 });
    await source.close();
    for (let n = 2; n < 60; n += 1) await storage.run((tx) => tx.machines.insert(machine(n)));
    for (const end of ['', '-wal']) copyFileSync(file + end, `${folder}/killed${end}`);
    await storage.close();
    for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  // Whoever moved the database away and left its log had the log replayed over the restored one: pages of both in one file. So had a
  // restore that was killed between the renames, and tried again.
  it('does not take the log of another database for its own', async () => {
    copyFileSync(`${folder}/killed-wal`, `${file}-wal`);
    const { aside } = await restoreSqlite({ file, from, key, now: 0 });
    assert.equal(aside, null, 'there was no database');
    assert.ok(!existsSync(`${file}-wal`), 'the next process would replay it');
    assert.deepEqual(await machines(), [machine(1).hostname]);
    assert.ok(
      readdirSync(folder).some((name) => /before-restore-.*-wal$/.test(name)),
      'the log is kept',
    );
  });

  it('keeps what lay in the log of the old one, and each of two in one second', async () => {
    for (const end of ['', '-wal']) copyFileSync(`${folder}/killed${end}`, file + end);
    const first = await restoreSqlite({ file, from, key, now: 0 });
    const second = await restoreSqlite({ file, from, key, now: 0 });
    assert.notEqual(first.aside, second.aside);
    assert.deepEqual(await machines(), [machine(1).hostname]);
    // All of it is in the one file that is named: whoever copies that has it all.
    for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
    copyFileSync(first.aside!, file);
    assert.equal((await machines()).length, 59);
  });

  // `sudo csbm restore` left a database that was root's alone: the service did not start any more.
  it('is for the user of the service also when root restores', async function () {
    if (process.getuid?.() !== 0) this.skip();
    copyFileSync(`${folder}/killed`, file);
    chownSync(file, 65_534, 65_534);
    await restoreSqlite({ file, from, key, now: 0 });
    for (const name of [file, `${file}.lock`]) {
      assert.ok(existsSync(name));
      assert.deepEqual([statSync(name).uid, statSync(name).gid], [65_534, 65_534], name);
    }
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });
});
