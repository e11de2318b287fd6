import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { AdminService, assertRefused, enrolment } from './admin-service.ts';

describe('admin API: who may do what', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  const add = async (name: string, role: string): Promise<string> => {
    const made = await service.post('/principals', { name, role });
    assert.equal(made.status, 201);
    return made.json.token;
  };

  it('the first token is for its owner only', () => {
    assert.equal(statSync(service.tokenFile).mode & 0o777, 0o600);
  });

  it('says that it is alive to anyone, and nothing else', async () => {
    const alive = await fetch(`${service.url}/healthz`);
    assert.equal(alive.status, 200);
    assert.equal(alive.headers.get('x-powered-by'), null);
    for (const path of ['/api/v1/machines', '/api/v1/health', '/api/v1/nothing', '/metrics']) {
      const refused = await fetch(`${service.url}${path}`);
      assert.equal(refused.status, 401, path);
      assert.equal(
        ((await refused.json()) as { error: { code: string } }).error.code,
        'request.unauthenticated',
      );
    }
  });

  it('refuses a missing, a wrong and a misshapen token', async () => {
    assertRefused(await service.call('GET', '/machines', { token: null }), 401, 'request.unauthenticated');
    const wrong = 'A'.repeat(43);
    const answer = await service.call('GET', '/machines', { token: wrong });
    assertRefused(answer, 401, 'request.unauthenticated');
    assert.ok(!answer.text.includes(wrong));
    assertRefused(
      await service.call('GET', '/machines', { token: 'two words' }),
      401,
      'request.unauthenticated',
    );
    assertRefused(
      await service.call('GET', '/machines', { token: 'x'.repeat(513) }),
      401,
      'request.unauthenticated',
    );
  });

  it('a revoked token is worth nothing, and is revoked once', async () => {
    const token = await add('ci', 'operator');
    assert.equal((await service.call('GET', '/machines', { token })).status, 200);
    assert.equal((await service.call('DELETE', '/principals/ci')).status, 204);
    assertRefused(await service.call('GET', '/machines', { token }), 401, 'request.unauthenticated');
    assertRefused(await service.call('DELETE', '/principals/ci'), 404, 'request.not-found');
  });

  it('a viewer reads and may not write, whatever the verb', async () => {
    const token = await add('eyes', 'viewer');
    assert.equal((await service.call('GET', '/machines', { token })).status, 200);
    const writes: readonly (readonly [string, string])[] = [
      ['POST', '/machines'],
      ['DELETE', '/machines/node-1'],
      ['POST', '/machines/node-1/start'],
      ['PUT', '/rack-config'],
      ['POST', '/images?name=x'],
      ['DELETE', '/images/x'],
      ['POST', '/operations/x/cancel'],
      ['POST', '/principals'],
    ];
    for (const [method, path] of writes) {
      const answer = await service.call(method, path, { token, body: {} });
      assertRefused(answer, 403, 'request.forbidden');
    }
  });

  it('only an administrator sees or makes principals', async () => {
    const token = await add('hands', 'operator');
    assert.equal((await service.call('POST', '/machines', { token, body: enrolment(1) })).status, 201);
    assertRefused(await service.call('GET', '/principals', { token }), 403, 'request.forbidden');
    const body = { name: 'more', role: 'admin' };
    assertRefused(await service.call('POST', '/principals', { token, body }), 403, 'request.forbidden');
  });

  it('lists principals without tokens or their hashes', async () => {
    const token = await add('shy', 'viewer');
    const { json, text } = await service.get('/principals');
    const shy = json.principals.find((one) => one.name === 'shy');
    assert.equal(shy?.role, 'viewer');
    assert.equal(shy.scope, '*');
    assert.equal(shy.revokedAt, null);
    assert.ok(!text.includes(token) && !text.toLowerCase().includes('hash'));
    assert.ok(!service.log.includes(token));
  });

  it('refuses a name that is taken or is none, and a role that is none', async () => {
    await add('twice', 'viewer');
    assert.equal((await service.post('/principals', { name: 'twice', role: 'viewer' })).status, 409);
    assertRefused(await service.post('/principals', { name: 'a b', role: 'viewer' }), 400, 'request.invalid');
    assertRefused(await service.post('/principals', { name: 'x', role: 'root' }), 400, 'request.invalid');
  });

  it('an operation remembers who asked', async () => {
    const token = await add('asker', 'operator');
    const body = { reason: 'new server', grade: 'none' };
    const begun = await service.call('POST', '/machines/node-1/commission', { token, body });
    assert.equal(begun.status, 202);
    assert.deepEqual(begun.json.operation.requester, {
      principal: 'asker',
      door: 'admin',
      reason: 'new server',
    });
  });

  it('keeps its administrator over a restart, and makes no second token', async () => {
    const { token } = service;
    await service.stop();
    await service.start();
    assert.equal(service.token, token);
    assert.equal((await service.get('/health')).status, 200);
  });
});
