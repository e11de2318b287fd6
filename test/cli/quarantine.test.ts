import assert from 'node:assert/strict';
import type { QuarantineView } from '../../src/cli/admin/api-types.ts';
import { AdminService, enrolment, rackConfig } from '../api/admin/admin-service.ts';
import { csbm, type Ended } from './run-csbm.ts';

describe('csbm quarantine', () => {
  const service = new AdminService();
  before(async () => {
    await service.start();
    for (const n of [1, 2]) await service.post('/machines', enrolment(n));
    await service.call('PUT', '/rack-config', { raw: rackConfig(), type: 'text/plain' });
  });
  after(() => service.dispose());

  const csbmRun = (...args: string[]): Promise<Ended> =>
    csbm(args, { cwd: service.folder, env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile } });
  const run = (...args: string[]): Promise<Ended> => csbmRun('quarantine', ...args);

  it('adds, lists, shows and lifts', async () => {
    const added = await run('add', 'port', 'tor-a', 'te1/1', '--reason', 'bent pin');
    assert.equal(added.code, 0, added.err);
    assert.match((await run('list')).out, /port +tor-a TenGigabitEthernet 1\/1 .* 1 +admin .*bent pin/);
    assert.match((await csbmRun('machine', 'show', 'node-1')).out, /withheld +port tor-a .*bent pin/);
    assert.match((await csbmRun('machine', 'list')).out, /node-1 .*port tor-a .*bent pin/);
    assert.match((await csbmRun('status')).out, /! port tor-a .* is in quarantine: admin: bent pin/);
    const lifted = await run('lift', 'port', 'tor-a', 'Te 1/1', '--reason', 'new cable');
    assert.match(lifted.out, /not in quarantine any more/);
    const shown = await run('show', 'port', 'tor-a', 'Te', '1/1');
    assert.match(shown.out, /state +lifted[\s\S]*times +1, last at[\s\S]*by admin: new cable/);
    assert.doesNotMatch((await run('list')).out, /tor-a/);
    assert.match((await run('list', '--lifted')).out, /tor-a TenGigabitEthernet 1\/1 +lifted/);
    const { quarantines } = JSON.parse((await run('list', '--lifted', '--json')).out) as {
      readonly quarantines: readonly QuarantineView[];
    };
    assert.deepEqual(
      quarantines.map(({ kind, count, liftedBecause }) => [kind, count, liftedBecause]),
      [['port', 1, 'new cable']],
    );
  });

  it('knows machines and their BMCs by hostname, and says what is wrong', async () => {
    assert.equal((await run('add', 'bmc', 'node-2')).code, 0);
    assert.match((await csbmRun('machine', 'show', 'node-2')).out, /withheld +its BMC: admin:/);
    assert.equal((await run('lift', 'bmc', 'node-2')).code, 0);
    assert.match((await run('show', 'switch', 'tor-a')).out, /was never in quarantine/);
    assert.match((await run('add', 'switch', 'tor-z')).err, /no switch "tor-z" in the rack config/);
    assert.equal((await run('add', 'rack', 'tor-a')).code, 2);
  });
});
