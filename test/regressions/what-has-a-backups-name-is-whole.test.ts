import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBackup } from '../../src/store/backup/backup-file.ts';
import type { BackupSource } from '../../src/store/backup/backup-source.ts';
import { writeBackup } from '../../src/store/backup/write-backup.ts';

// The second of two backups to one name (a timer that met a hand) took the first one's draft away and began its own; the first then gave
// the name to that, half written as it was, told that it was broken, and left it there.
it('of two backups to one name at the same time none leaves half a file under that name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-same-'));
  const file = join(folder, 'hourly.csbm-backup');
  /** Tells when its rows are asked for, and has them when it is told to. */
  const source = (asked: () => void, go: Promise<void>): BackupSource => ({
    type: 'sqlite',
    tables: async () => new Map([['migration', ['timestamp', 'name']], ['alarm', ['id']], ['secret_key', ['id']]]), // prettier-ignore
    rows: async function* (table) {
      if (table !== 'alarm') return;
      asked();
      await go;
      yield [['al-1']];
    },
    close: async () => undefined,
  });
  const gate = (): { promise: Promise<void>; open: () => void } => {
    let open = (): void => undefined;
    const promise = new Promise<void>((resolve) => (open = resolve));
    return { promise, open };
  };
  try {
    const [first, second, begun, begunToo] = [gate(), gate(), gate(), gate()];
    const write = (from: BackupSource): Promise<unknown> =>
      writeBackup({ source: from, file, version: '1', now: 1 });
    const one = write(source(begun.open, first.promise)).catch((error: unknown) => error);
    await begun.promise;
    const two = write(source(begunToo.open, second.promise)).catch((error: unknown) => error);
    await begunToo.promise;
    first.open();
    await one;
    if (existsSync(file)) await readBackup(file);
    second.open();
    await two;
    if (existsSync(file)) await readBackup(file);
    assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.part')), []); // prettier-ignore
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
