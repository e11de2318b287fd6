import assert from 'node:assert/strict';
import { AdminService, enrolment } from '../api/admin/admin-service.ts';
import { csbm, type Ended } from './run-csbm.ts';

interface Pool {
  readonly name: string;
  readonly doors: readonly string[];
  readonly trusted: boolean;
  readonly machines: number;
}

describe('csbm pool', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  const run = (...args: string[]): Promise<Ended> =>
    csbm(['pool', ...args], {
      cwd: service.folder,
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile },
    });
  const pools = async (): Promise<readonly Pool[]> =>
    (JSON.parse((await run('list', '--json')).out) as { readonly pools: readonly Pool[] }).pools;

  it('describes a pool, changes it, and forgets it', async () => {
    const made = await run('create', 'lab', '--door', 'maas', '--trusted', '--description', 'for tests');
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, /pool lab: handed out through maas; trusted/);
    assert.match((await run('create', 'lab')).err, /there is a pool "lab" already/);
    assert.match((await run('list')).out, /lab +maas +yes +0 +for tests/);
    assert.match(
      (await run('set', 'lab', '--door', 'maas', '--door', 'cloudstack')).out,
      /maas and cloudstack; trusted/,
    );
    assert.match(
      (await run('set', 'lab', '--no-trusted', '--rename', 'work')).out,
      /pool work: .* not trusted/,
    );
    assert.match((await run('set', 'work', '--door', 'none')).out, /through no door/);
    assert.equal((await run('set', 'work', '--door', 'window')).code, 2);
    assert.equal((await run('delete', 'work')).code, 0);
    assert.equal((await run('delete', 'work')).code, 1);
    assert.deepEqual(await pools(), []);
  });

  it('a pool that machines are in shows without being described, and cannot be forgotten', async () => {
    const enrolled = await service.post('/machines', { ...enrolment(1), pool: 'gpu' });
    assert.equal(enrolled.status, 201, enrolled.text);
    assert.deepEqual(
      (await pools()).map(({ name, doors, trusted, machines }) => [name, doors, trusted, machines]),
      [['gpu', ['cloudstack', 'maas'], false, 1]],
    );
    assert.equal((await run('set', 'gpu', '--rename', 'fast')).code, 0);
    assert.equal((await service.get(`/machines/${enrolled.json.machine.id}`)).json.machine.pool, 'fast');
    assert.match((await run('delete', 'fast')).err, /1 machine is in the pool fast/);
    const token = (await service.post('/principals', { name: 'away', role: 'operator', scope: 'pool:other' }))
      .json.token;
    assert.deepEqual((await service.call('GET', '/pools', { token })).json, { pools: [] });
    const refused = await service.call('POST', '/pools', { token, body: { name: 'mine' } });
    assert.deepEqual([refused.status, refused.json.error.code], [403, 'access.scope']);
  });
});
