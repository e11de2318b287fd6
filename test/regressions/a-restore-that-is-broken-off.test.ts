import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { restoreSqlite } from '../../src/store/backup/restore-backup.ts';
import { sqliteSource } from '../../src/store/backup/sqlite-source.ts';
import { writeBackup } from '../../src/store/backup/write-backup.ts';
import { openStorage, type SqlStorage } from '../../src/store/open-storage.ts';
import { takeProcessLock } from '../../src/store/process-lock.ts';
import { defaultSqliteEngine } from '../../src/store/sqlite-handle.ts';
import { rejectsWith } from '../store/rejects-with.ts';
import { machine } from '../store/samples.ts';

type Call = (...values: unknown[]) => unknown;

const clock = new SystemClock();
const user = 65_534;

/** The database of one machine, and a backup of it from before it had any. */
describe('a restore that is broken off before the end', () => {
  const key = { base64: new Secret(randomBytes(32).toString('base64')) };
  const real = new Map<string, Call>();
  let folder: string;
  let file: string;
  let from: string;

  const open = (): Promise<SqlStorage> => openStorage({ type: 'sqlite', file, key, clock });
  const restore = () => restoreSqlite({ file, from, key, now: 0 });

  function replaceCall(name: 'linkSync' | 'renameSync' | 'writeFileSync', call: Call): void {
    const calls = fs as unknown as Record<string, Call>;
    real.set(name, calls[name]!);
    calls[name] = call;
    syncBuiltinESMExports();
  }

  function mend(): void {
    Object.assign(fs, Object.fromEntries(real));
    syncBuiltinESMExports();
    real.clear();
  }

  async function machines(): Promise<number> {
    const storage = await open();
    const { length } = await storage.run((tx) => tx.machines.list());
    await storage.close();
    return length;
  }

  beforeEach(async () => {
    folder = fs.mkdtempSync(join(tmpdir(), 'csbm-broken-off-'));
    file = join(folder, 'csbm.sqlite');
    from = join(folder, 'one.csbm-backup');
    const storage = await open();
    const source = sqliteSource(file);
    await writeBackup({ source, file: from, version: '1.2.3', now: 1_000 });
    await source.close();
    await storage.run((tx) => tx.machines.insert(machine(1)));
    await storage.close();
  });

  afterEach(() => {
    mend();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  // The old one was moved aside before the new one had its name: a service that came up in between made an empty database.
  it('leaves the old database its name where the file system has no second names', async () => {
    replaceCall('linkSync', () => {
      throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM', syscall: 'link' });
    });
    replaceCall('renameSync', (...names) => {
      if (names[1] === file) throw Object.assign(new Error('EIO: i/o error'), { syscall: 'rename' });
      return real.get('renameSync')!(...names);
    });
    await rejectsWith(restore(), 'store.unavailable');
    assert.ok(fs.existsSync(file));
    mend();
    assert.equal(await machines(), 1);
    assert.ok(!fs.readdirSync(folder).some((name) => name.includes('restoring')));
  });

  // With a backup being made of it the log could not be folded, and went aside before its database did: killed in between, that had lost
  // what lay in the log; and what was kept was not in one file.
  it('is not begun while somebody reads the database', async () => {
    const storage = await open();
    await storage.run((tx) => tx.machines.insert(machine(2)));
    const killed = join(folder, 'killed.sqlite');
    for (const end of ['', '-wal']) fs.copyFileSync(file + end, killed + end);
    await storage.close();
    file = killed;
    const reader = sqliteSource(file);
    const error = await rejectsWith(restore(), 'store.unavailable');
    assert.match(error.message, /somebody reads the database that is there/);
    await reader.close();
    assert.equal(await machines(), 2);
    const { aside } = await restore();
    assert.equal(await machines(), 0);
    file = aside!;
    assert.equal(await machines(), 2);
  });

  it('keeps a file that is no database as it is', async () => {
    const junk = randomBytes(10_000);
    for (const end of ['', '-wal']) fs.writeFileSync(file + end, junk);
    const { aside } = await restore();
    assert.deepEqual(fs.readFileSync(aside!), junk);
    assert.equal(await machines(), 0);
  });

  // Killed between the two calls, `sudo csbm restore` left a lock that was root's, and a file with its process id that only root could
  // write: the service, of another user, did not start any more.
  it('leaves no lock behind that only root can take', async function () {
    if (process.getuid?.() !== 0) this.skip();
    for (const name of [folder, file]) fs.chownSync(name, user, user);
    fs.rmSync(`${file}.lock`, { force: true });
    let killed = false;
    replaceCall('writeFileSync', (...values) => {
      assert.equal(values[0], `${file}.pid`);
      killed = true;
      throw new Error('as if killed');
    });
    await assert.rejects(restore());
    mend();
    assert.ok(killed);
    assert.equal(fs.statSync(`${file}.lock`).uid, user);
    const other = join(fs.realpathSync(folder), 'other.sqlite');
    fs.writeFileSync(`${other}.pid`, '1\n', { mode: 0o600 });
    process.setegid!(user);
    process.seteuid!(user);
    try {
      takeProcessLock(other, defaultSqliteEngine()).release();
    } finally {
      process.seteuid!(0);
      process.setegid!(0);
    }
  });
});
