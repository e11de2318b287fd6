import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { Access } from '../../src/operations/access.ts';
import { tempStorage } from '../support/temp-storage.ts';

describe('regression: a database whose only administrator was revoked', () => {
  it('gets another one at the start, instead of a conflict about the name', async () => {
    const temp = await tempStorage();
    const { storage } = temp;
    const folder = mkdtempSync(join(tmpdir(), 'csbm-access-'));
    try {
      const first = new Access(storage, new SystemClock());
      await first.ensureFirstAdmin(null, join(folder, 'first'));
      await storage.run((tx) => tx.principals.revoke('admin', 1));
      const second = new Access(storage, new SystemClock());
      const file = await second.ensureFirstAdmin(null, join(folder, 'second'));
      assert.ok(file);
      const { name, role } = await second.authenticate(readFileSync(file, 'utf8').trim(), 'here');
      assert.deepEqual([name, role], ['admin-2', 'admin']);
    } finally {
      await temp.close();
      rmSync(folder, { recursive: true });
    }
  });
});
