import assert from 'node:assert/strict';
import { AdminService } from '../api/admin/admin-service.ts';
import { csbm } from '../cli/run-csbm.ts';

// `csbm machine show "$NAME"` without a NAME asked for the list of machines, and ended as a fault of csbm's own.
describe('a name on the command line that would make another address', () => {
  const admin = new AdminService();
  before(() => admin.start());
  after(() => admin.dispose());

  for (const args of [
    ['machine', 'show', ''],
    ['machine', 'show', '.'],
    ['machine', 'rm', '..'],
    ['machine', 'stop', ''],
    ['operation', 'show', ''],
    ['principal', 'revoke', '..'],
    ['timeline', ''],
  ])
    it(`is a wrong usage: csbm ${args.map((arg) => `'${arg}'`).join(' ')}`, async () => {
      const env = { CSBM_URL: admin.url, CSBM_TOKEN: admin.token };
      const { code, out, err } = await csbm([...args, '--json'], { env });
      assert.equal(code, 2, err);
      const { error } = JSON.parse(out) as { readonly error: { readonly code: string } };
      assert.equal(error.code, 'cli.usage');
      assert.doesNotMatch(err, /unexpected/);
    });
});
