import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { readBackup } from '../../../src/store/backup/backup-file.ts';
import { mariadbSource } from '../../../src/store/backup/mariadb-source.ts';
import { restoreMariadb } from '../../../src/store/backup/restore-mariadb.ts';
import { restoreSqlite } from '../../../src/store/backup/restore-backup.ts';
import { writeBackup } from '../../../src/store/backup/write-backup.ts';
import { openStorage } from '../../../src/store/open-storage.ts';
import { requireStore, takeDatabase, giveDatabase } from '../../support/temp-database.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { rejectsWith } from '../rejects-with.ts';
import { claim, deployment, machine, operation, step } from '../samples.ts';

const clock = new SystemClock();

describe('backup and restore of a MariaDB database', function () {
  this.timeout(60_000);
  let temp: TempStorage;
  let folder: string;

  before(function () {
    requireStore(this, 'mariadb');
  });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-backup-'));
    temp = await tempStorage();
    await temp.storage.run(async (tx) => {
      await tx.history.read();
      for (let n = 1; n <= 3; n++) {
        await tx.machines.insert(machine(n));
        await tx.history.advance(machine(n).id);
        await tx.claims.insert(claim(n));
        await tx.deployments.insert(deployment(n));
        await tx.journal.insert(operation(`op-${n}`, n));
        await tx.journal.putStep(step(`op-${n}`, 0));
      }
    });
  });

  afterEach(async () => {
    await temp.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const place = () => {
    assert.ok('place' in temp.database);
    return temp.database;
  };

  async function backup(name: string): Promise<string> {
    const source = await mariadbSource(place());
    const file = join(folder, name);
    try {
      await writeBackup({ source, file, version: '1.2.3', now: 1_000 });
    } finally {
      await source.close();
    }
    return file;
  }

  it('brings every row back, keeps what was there, and is refused while others are connected', async () => {
    const from = await backup('one');
    await temp.storage.run((tx) => tx.claims.delete(machine(2).id, claim(2).externalId));
    const options = { place: place(), from, key: temp.key, stateDir: folder, now: 5_000 };
    await rejectsWith(restoreMariadb(options), 'store.locked');
    await temp.storage.close();
    const { aside } = await restoreMariadb(options);
    assert.equal((await readBackup(aside!)).counts['claim'], 2);
    const storage = await openStorage({ ...place(), key: temp.key, clock });
    try {
      const [claims, password, history] = await storage.run(
        async (tx) =>
          [
            await tx.claims.list(),
            (await tx.machines.find(machine(1).id))!.bmc!.password.reveal(),
            await tx.history.read(),
          ] as const,
      );
      assert.equal(claims.length, 3);
      assert.equal(password, machine(1).bmc!.password.reveal());
      assert.deepEqual([history.restored?.backupAt, history.restored?.acceptedAt], [1_000, null]);
    } finally {
      await storage.close();
    }
  });

  it('moves a database to SQLite, and from there to an empty one', async () => {
    const from = await backup('one');
    const file = join(folder, 'csbm.sqlite');
    await restoreSqlite({ file, from, key: temp.key, now: 5_000 });
    const { sqliteSource } = await import('../../../src/store/backup/sqlite-source.ts');
    const source = sqliteSource(file);
    const second = join(folder, 'two');
    const written = await writeBackup({ source, file: second, version: '1.2.3', now: 2_000 });
    await source.close();
    assert.equal(written.counts['machine'], 3);
    const other = await takeDatabase();
    try {
      await restoreMariadb({ place: other, from: second, key: temp.key, stateDir: folder, now: 6_000 });
      const storage = await openStorage({ ...other, key: temp.key, clock });
      const steps = await storage.run((tx) => tx.journal.steps('op-2'));
      await storage.close();
      assert.equal(steps.length, 1);
    } finally {
      await giveDatabase(other);
    }
  });

  // All rows of a batch went into one statement, which the server refused (`max_allowed_packet`): the backup could not be restored.
  it('brings back rows that together are larger than one statement may be', async () => {
    const text = 'user data '.repeat(100_000);
    await temp.storage.run(async (tx) => {
      for (let n = 1; n <= 17; n++) {
        const at = 1_000 + n;
        await tx.alarms.insert({ id: `al-${n}`, at, code: 'restore.accepted', machineId: null, text });
      }
    });
    const from = await backup('large.csbm-backup');
    await temp.storage.close();
    const { counts } = await readBackup(from);
    assert.equal(counts['alarm'], 17);
    await restoreMariadb({ from, key: temp.key, now: 2_000, place: place(), stateDir: folder });
    const storage = await openStorage({ ...place(), key: temp.key, clock });
    assert.equal((await storage.run((tx) => tx.alarms.list(100))).length, 17);
    await storage.close();
  });
});
