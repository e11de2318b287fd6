import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AdminService } from '../api/admin/admin-service.ts';
import { csbm, type Ended } from './run-csbm.ts';

describe('csbm api-key, and principals that come by key or password', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  const run = (...args: string[]): Promise<Ended> =>
    csbm(args, {
      cwd: service.folder,
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile },
    });

  it('makes a user without token, and a key for it that is printed once, alone', async () => {
    const added = await run('principal', 'add', 'anna', '--role', 'user', '--email', 'anna@example.org');
    assert.equal(added.code, 0, added.err);
    assert.match(added.out, /csbm api-key create --user anna/);
    const made = await run('api-key', 'create', 'laptop', '--user', 'anna');
    assert.match(made.out, /^[A-Za-z0-9]{18}:[A-Za-z0-9]{18}:[A-Za-z0-9]{32}\n$/);
    assert.match(made.err, /shown once/);
    const [, token = '', secret = ''] = made.out.trim().split(':');

    const list = await run('api-key', 'list', '--user', 'anna');
    assert.match(list.out, new RegExp(`TOKEN +NAME +OWNER +SINCE\\s+${token} +laptop +anna `));
    assert.ok(!list.out.includes(secret));
    assert.equal((await run('api-key', 'rename', token, 'desk')).code, 0);
    const json = JSON.parse((await run('api-key', 'list', '--user', 'anna', '--json')).out) as {
      apiKeys: { name: string; token: string }[];
    };
    assert.deepEqual(
      json.apiKeys.map(({ name }) => name),
      ['desk'],
    );
    assert.equal((await run('api-key', 'revoke', token)).code, 0);
    assert.equal((await run('api-key', 'revoke', token)).code, 1);
    assert.equal((await run('api-key', 'create', '--user', 'nobody')).code, 1);
    assert.ok(!service.log.includes(secret));
  });

  it('gives a user no token, also not later or for a while', async () => {
    await run('principal', 'add', 'ben', '--role', 'user');
    assert.match((await run('principal', 'rotate', 'ben')).err, /role user has no token/);
    assert.match((await run('principal', 'add', 'cy', '--role', 'user', '--expires', '1d')).err, /role user/);
    assert.match(
      (await run('principal', 'add', 'cs', '--role', 'cloud', '--scope', 'cloud:a')).out,
      /^\S{43}\n$/,
    );
  });

  it('sets a password from a file, and refuses one that is too short', async () => {
    writeFileSync(join(service.folder, 'password'), 'correct horse\n');
    writeFileSync(join(service.folder, 'short'), 'short\n');
    const added = await run(
      'principal',
      'add',
      'pat',
      '--role',
      'user',
      '--password-file',
      'password',
      '--json',
    );
    assert.equal(added.code, 0, added.err);
    assert.equal((await run('principal', 'password', 'pat', '--password-file', 'password')).code, 0);
    const short = await run('principal', 'password', 'pat', '--password-file', 'short');
    assert.equal(short.code, 1);
    assert.match(short.err, /8 to 1024 characters/);
    assert.equal((await run('principal', 'password', 'nobody', '--password-file', 'password')).code, 1);
    const { json } = await service.get('/principals');
    const pat = json.principals.find(({ name }) => name === 'pat');
    assert.deepEqual([pat?.role, pat?.hasPassword], ['user', true]);
    assert.ok(!service.log.includes('correct horse'));
  });
});
