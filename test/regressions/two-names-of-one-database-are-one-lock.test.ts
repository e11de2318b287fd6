import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { restoreSqlite } from '../../src/store/backup/restore-backup.ts';
import { sqliteSource } from '../../src/store/backup/sqlite-source.ts';
import { writeBackup } from '../../src/store/backup/write-backup.ts';
import { openStorage } from '../../src/store/open-storage.ts';
import { rejectsWith } from '../store/rejects-with.ts';

// A database on another disk, reached by a link: who named the link and who named the file each took a lock of their own, and two
// services, or a service and a restore, had one database.
it('a database file has one lock, whatever it is called', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-names-'));
  const key = { base64: new Secret(randomBytes(32).toString('base64')) };
  const clock = new SystemClock();
  try {
    mkdirSync(join(folder, 'disk'));
    const file = join(folder, 'disk', 'csbm.sqlite');
    const link = join(folder, 'csbm.sqlite');
    symlinkSync(file, link);
    const storage = await openStorage({ type: 'sqlite', file: link, key, clock });
    const from = join(folder, 'b');
    try {
      await rejectsWith(openStorage({ type: 'sqlite', file, key, clock }), 'store.locked');
      const source = sqliteSource(link);
      await writeBackup({ source, file: from, version: '1', now: 1 });
      await source.close();
      await rejectsWith(restoreSqlite({ file, from, key, now: 0 }), 'store.locked');
    } finally {
      await storage.close();
    }
    const { aside } = await restoreSqlite({ file: link, from, key, now: 0 });
    assert.ok(lstatSync(link).isSymbolicLink(), 'the database stays on its disk');
    assert.ok(aside!.startsWith(file));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
