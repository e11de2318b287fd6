import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { restoreSqlite } from '../../src/store/backup/restore-backup.ts';
import { sqliteSource } from '../../src/store/backup/sqlite-source.ts';
import { writeBackup } from '../../src/store/backup/write-backup.ts';
import { openStorage, type SqlStorage } from '../../src/store/open-storage.ts';
import { defaultSqliteEngine, openSqliteHandle } from '../../src/store/sqlite-handle.ts';
import type { RestorerArguments } from './children/restorer.ts';
import { runChild, type Child } from './children/run-child.ts';
import { engines, requireEngine } from './engines.ts';
import { machine } from './samples.ts';

const name = 'csbm.sqlite';
const serviceUser = 65_534;
const namesOf = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, i) => machine(from + i).hostname).sort();
/** Of the backup, and of the database when its service was killed: most of that lies in the log. */
const restored = namesOf(1, 2);
const old = namesOf(1, 60);

for (const engine of engines)
  describe(`a restore that is killed at any moment, with the engine ${engine}`, () => {
    const key = randomBytes(32).toString('base64');
    const secret = { base64: new Secret(key) };
    let folder: string;
    let seed: string;
    let from: string;
    const children: Child[] = [];

    const open = (file: string): Promise<SqlStorage> =>
      openStorage({ type: 'sqlite', file, key: secret, engine, clock: new SystemClock() });

    before(async function () {
      requireEngine(this, engine);
      folder = mkdtempSync(join(tmpdir(), 'csbm-restore-killed-'));
      from = join(folder, 'one.csbm-backup');
      seed = join(folder, 'seed');
      mkdirSync(seed);
      const file = join(folder, name);
      const storage = await open(file);
      await storage.run((tx) => tx.machines.insert(machine(1)));
      const source = sqliteSource(file, engine);
      await writeBackup({ source, file: from, version: '1.2.3', now: 1_000 });
      await source.close();
      await storage.run(async (tx) => {
        for (let n = 2; n < 60; n += 1) await tx.machines.insert(machine(n));
      });
      // What a service leaves that is killed with -9.
      for (const end of ['', '-wal', '-shm']) copyFileSync(file + end, join(seed, name) + end);
      await storage.close();
      assert.ok(statSync(join(seed, `${name}-wal`)).size > 0);
    });

    after(async () => {
      for (const child of children) await child.kill();
      if (folder) rmSync(folder, { recursive: true, force: true });
    });

    /** A copy of what the killed service left. */
    function copy(to: string): RestorerArguments {
      const at = join(folder, to);
      cpSync(seed, at, { recursive: true });
      if (process.getuid?.() === 0)
        for (const one of [at, join(at, name)]) chownSync(one, serviceUser, serviceUser);
      return { file: join(at, name), from, key, engine, killAt: null, links: true };
    }

    /** Runs a restore as a process of its own. */
    async function restore(options: RestorerArguments): Promise<string> {
      const child = runChild('restorer.ts', [JSON.stringify(options)]);
      children.push(child);
      const ended = once(child.process, 'exit');
      const { value } = await child.lines.next();
      assert.deepEqual(await ended, options.killAt === null ? [0, null] : [null, 'SIGKILL']);
      return value ?? '';
    }

    /** Which machines a database knows; that it is whole. */
    function machinesIn(file: string): readonly string[] {
      const handle = openSqliteHandle(file, { engine });
      try {
        for (const row of handle.pragma('quick_check')) assert.equal(row['quick_check'], 'ok');
        assert.deepEqual(handle.pragma('foreign_key_check'), []);
        return handle
          .prepare('SELECT hostname FROM machine ORDER BY hostname')
          .all()
          .map(({ hostname }) => String(hostname));
      } finally {
        handle.close();
      }
    }

    /** Where root restores: what the service, which is another user, needs to write. */
    function checkOwners(at: string): void {
      if (process.getuid?.() !== 0) return;
      for (const one of ['', '.lock'].map((end) => join(at, name) + end))
        if (existsSync(one)) assert.equal(statSync(one).uid, serviceUser, one);
    }

    /** Databases that were moved aside, each as a copy of its own. */
    const asides = (at: string): readonly string[] =>
      readdirSync(at)
        .filter((one) => /\.before-restore-[0-9TZ]+(-\d+)?$/.test(one))
        .map((one) => join(at, one));

    async function check(at: string): Promise<'old' | 'new'> {
      checkOwners(at);
      const looked = `${at}-looked-at`;
      // Without the second names: opening the one does not change the other.
      cpSync(at, looked, { recursive: true });
      const file = join(looked, name);
      assert.ok(existsSync(file), 'there is a database of that name');
      const service = await open(file);
      const found = (await service.run((tx) => tx.machines.list())).map(({ hostname }) => hostname).sort();
      await service.close();
      const which = found.length === restored.length ? 'new' : 'old';
      assert.deepEqual(found, which === 'new' ? restored : old);
      assert.deepEqual(machinesIn(file), found);
      for (const aside of asides(looked)) {
        for (const end of ['-wal', '-shm']) rmSync(aside + end, { force: true });
        assert.deepEqual(machinesIn(aside), old, 'what is aside is the old one, in one file');
      }
      if (which === 'new') assert.equal(asides(looked).length, 1, 'the old one is kept');
      rmSync(looked, { recursive: true });

      const again = await restoreSqlite({ file: join(at, name), from, key: secret, engine, now: 60_000 });
      const storage = await open(join(at, name));
      assert.equal((await storage.run((tx) => tx.machines.list())).length, restored.length);
      await storage.close();
      assert.deepEqual(machinesIn(again.aside!), which === 'new' ? restored : old);
      assert.ok(
        asides(at).some((aside) => machinesIn(aside).length === old.length),
        'the old one is lost',
      );
      assert.deepEqual(
        readdirSync(at).filter((one) => one.includes('.restoring')),
        [],
      );
      return which;
    }

    /** Restores once unkilled, and then once for each state that the folder went through, killed in it. */
    async function killAtEach(links: boolean, counts: (state: string) => boolean): Promise<string[]> {
      const whole = { ...copy(`whole-${links}`), links };
      const states = JSON.parse(await restore(whole)) as readonly string[];
      assert.equal(await check(dirname(whole.file)), 'new');
      const points = states.flatMap((state, i) => (state !== states[i - 1] && counts(state) ? [i] : []));
      const found: string[] = [];
      const kills = points.map((killAt) => ({ ...copy(`killed-${links}-${killAt}`), links, killAt }));
      // The next one runs while what the last one left is looked at.
      let running = restore(kills[0]!);
      for (const [i, { file }] of kills.entries()) {
        await running;
        const next = kills[i + 1];
        if (next) running = restore(next);
        found.push(await check(dirname(file)));
      }
      return found;
    }

    it('leaves the old or the new database whole under its name, and never loses the old one', async () => {
      const found = await killAtEach(true, () => true);
      assert.ok(found.length >= 6, found.join());
      assert.deepEqual(found, found.toSorted().toReversed(), 'from one moment on it is the new one');
    }).timeout(120_000);

    // Of files, not of engines.
    if (engine === defaultSqliteEngine())
      it('does so where the file system has no second names', async () => {
        const found = await killAtEach(false, (state) => /restoring-old|before-restore-\w+ /.test(state));
        assert.ok(found.length >= 3 && found[0] === 'old', found.join());
      }).timeout(120_000);
  });
