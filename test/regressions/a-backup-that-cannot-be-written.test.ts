import assert from 'node:assert/strict';
import { join } from 'node:path';
import { AdminService } from '../api/admin/admin-service.ts';
import { csbm } from '../cli/run-csbm.ts';

// A folder that was not there ended `csbm backup` as a fault of csbm's own, with a stack.
it('csbm backup says where it cannot write', async () => {
  const admin = new AdminService();
  try {
    await admin.start();
    const file = join(admin.folder, 'none', 'b');
    for (const args of [
      ['backup', file],
      ['backup', join(admin.folder, 'b'), '--with-key', file],
    ]) {
      const { code, out, err } = await csbm([...args, '--config', admin.configFile, '--json'], {
        cwd: admin.folder,
      });
      assert.equal(code, 1, err);
      const { error } = JSON.parse(out) as {
        readonly error: { readonly code: string; readonly where: string };
      };
      assert.deepEqual([error.code, error.where], ['cli.failed', file]);
    }
  } finally {
    await admin.dispose();
  }
});
