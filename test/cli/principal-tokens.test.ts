import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { AdminService } from '../api/admin/admin-service.ts';
import { until } from '../support/until.ts';
import { csbm, type Ended } from './run-csbm.ts';

describe('csbm principal: tokens', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  const run = (args: readonly string[], token?: string): Promise<Ended> =>
    csbm(args, {
      cwd: service.folder,
      env: {
        CSBM_URL: service.url,
        ...(token === undefined ? { CSBM_TOKEN_FILE: service.tokenFile } : { CSBM_TOKEN: token }),
      },
    });

  it('--expires ends a token by itself; the list shows when, and when it was last used', async () => {
    const added = await run(['principal', 'add', 'brief', '--role', 'viewer', '--expires', '1s', '--json']);
    assert.equal(added.code, 0, added.err);
    const { token, expiresAt } = JSON.parse(added.out) as { token: string; expiresAt: number };
    assert.ok(expiresAt > Date.now() - 60_000);
    await until(async () => (await run(['machine', 'list'], token)).code === 1, 'the end of the token');
    assert.match((await run(['machine', 'list'], token)).err, /expired[\s\S]*csbm principal rotate/);
    const { out } = await run(['principal', 'list']);
    assert.match(out, /NAME +ROLE +SCOPE +SINCE +LAST USED +EXPIRES +REVOKED/);
    assert.match(out, /brief +viewer +\* +\S+ /);
  });

  it('an --expires that is none, and a scope that is none, are refused', async () => {
    assert.equal((await run(['principal', 'add', 'x', '--role', 'viewer', '--expires', 'soon'])).code, 2);
    const { err } = await run(['principal', 'add', 'x', '--role', 'viewer', '--scope', 'rack:7']);
    assert.match(err, /"rack:7" is not a term of a scope \[request\.invalid\][\s\S]*pool:NAME/);
  });

  it('rotate replaces a token, printing the new one alone', async () => {
    const before = (await run(['principal', 'add', 'ci', '--role', 'operator'])).out.trim();
    const rotated = await run(['principal', 'rotate', 'ci', '--reason', 'leaked']);
    assert.match(rotated.out, /^\S{43}\n$/);
    assert.equal((await run(['machine', 'list'], before)).code, 1);
    assert.equal((await run(['machine', 'list'], rotated.out.trim())).code, 0);
    assert.equal((await run(['principal', 'rotate', 'nobody'])).code, 1);
    assert.match(service.log, /"reason":"leaked"/);
  });

  it('rotate of the first administrator renews the token file, and the command line goes on with it', async () => {
    const before = service.token;
    const rotated = await run(['principal', 'rotate', 'admin']);
    assert.equal(rotated.code, 0, rotated.err);
    assert.equal(readFileSync(service.tokenFile, 'utf8'), rotated.out);
    assert.equal((await run(['principal', 'list'], before)).code, 1);
    assert.equal((await run(['principal', 'list'])).code, 0);
    assert.match((await run(['principal', 'revoke', 'admin'])).err, /access\.last-admin/);
  });
});
