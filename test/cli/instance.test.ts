import assert from 'node:assert/strict';
import { AdminService } from '../api/admin/admin-service.ts';
import { csbm, type Ended } from './run-csbm.ts';

describe('csbm instance list', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  const run = (...args: string[]): Promise<Ended> =>
    csbm(['instance', 'list', ...args], {
      cwd: service.folder,
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile },
    });

  it('shows who is there, and who was', async () => {
    const shown = await run();
    assert.equal(shown.code, 0, shown.err);
    assert.match(shown.out, new RegExp(`/${process.pid} \\(asked\\) +alive +(all|0) .*${service.url}`));
    const { instances } = JSON.parse((await run('--gone', '--json')).out) as {
      readonly instances: readonly { readonly self: boolean; readonly state: string }[];
    };
    assert.deepEqual(
      instances.map(({ self, state }) => [self, state]),
      [[true, 'alive']],
    );
  });
});
