import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError, minutes, Secret, seconds } from '../../../plugin-api/index.ts';
import { askerOf, type Asker } from '../../../src/core/access/principal.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { Access } from '../../../src/operations/access.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

const hour = minutes(60);

describe('access: tokens', () => {
  let temp: TempStorage;
  let clock: ManualClock;
  let access: Access;
  let folder: string;
  const root: Asker = askerOf({ name: 'root', role: 'admin', scope: '*' }, 'test', '');
  const here = '192.0.2.1';

  beforeEach(async () => {
    clock = new ManualClock();
    temp = await tempStorage({ clock });
    access = new Access(temp.storage, clock, { failures: 3 });
    folder = mkdtempSync(join(tmpdir(), 'csbm-access-'));
  });
  afterEach(async () => {
    await temp.close();
    rmSync(folder, { recursive: true });
  });

  const add = (name: string, lifetime: number | null = null) =>
    access.create({ name, role: 'operator', scope: 'pool:gpu', lifetime }, root);
  const codeOf = async (work: Promise<unknown>): Promise<string | null> => {
    try {
      await work;
      return null;
    } catch (error) {
      assert.ok(error instanceof CodedError, String(error));
      return error.code;
    }
  };
  const usedAt = async (name: string) =>
    (await access.list(root)).find((one) => one.name === name)?.lastUsedAt;

  it('a token with an end is worth nothing from then on, and says so to who has it', async () => {
    const { token, expiresAt } = await add('ci', hour);
    assert.equal(expiresAt, clock.now() + hour);
    assert.equal((await access.authenticate(token, here)).name, 'ci');
    await clock.advance(seconds(3_599));
    await access.authenticate(token, here);
    await clock.advance(seconds(1));
    await assert.rejects(access.authenticate(token, here), /expired/);
    assert.equal(await codeOf(access.authenticate(token, here)), 'request.unauthenticated');
  });

  it('the last use is known to a few minutes, and costs no write each time', async () => {
    const { token } = await add('ci');
    assert.equal(await usedAt('ci'), null);
    await access.authenticate(token, here);
    const first = clock.now();
    assert.equal(await usedAt('ci'), first);
    await clock.advance(minutes(4));
    await access.authenticate(token, here);
    assert.equal(await usedAt('ci'), first);
    await clock.advance(minutes(2));
    await access.authenticate(token, here);
    assert.equal(await usedAt('ci'), clock.now());
  });

  it('a wrong or revoked token is no use', async () => {
    const { token } = await add('ci');
    await access.revoke('ci', root);
    assert.equal(await codeOf(access.authenticate(token, here)), 'request.unauthenticated');
    assert.equal(await usedAt('ci'), null);
  });

  it('too many wrong tokens from one address make it wait; others, and tokens that were right lately, do not', async () => {
    const known = (await add('known')).token;
    const fresh = (await add('fresh')).token;
    await access.authenticate(known, here);
    for (const wrong of ['a', 'b', 'c'])
      assert.equal(await codeOf(access.authenticate(wrong, here)), 'request.unauthenticated');
    assert.equal(await codeOf(access.authenticate('d', here)), 'access.throttled');
    assert.equal(await codeOf(access.authenticate(fresh, here)), 'access.throttled');
    assert.equal((await access.authenticate(known, here)).name, 'known');
    assert.equal((await access.authenticate(fresh, '192.0.2.2')).name, 'fresh');
    await clock.advance(minutes(1));
    assert.equal(await codeOf(access.authenticate('d', here)), 'request.unauthenticated');
    assert.equal((await access.authenticate(fresh, here)).name, 'fresh');
  });

  it('a revoked token that was right lately is throttled like any other', async () => {
    const { token } = await add('ci');
    await access.authenticate(token, here);
    await access.revoke('ci', root);
    const codes: (string | null)[] = [];
    for (let i = 0; i < 5; i += 1) codes.push(await codeOf(access.authenticate(token, here)));
    assert.deepEqual(codes.slice(0, 3), Array(3).fill('request.unauthenticated'));
    assert.deepEqual(codes.slice(3), Array(2).fill('access.throttled'));
  });

  describe('the first administrator', () => {
    const file = (): string => join(folder, 'admin.token');
    const text = (): string => readFileSync(file(), 'utf8').trim();

    it('rotates: the old token ends, the file has the new one, for its owner only, and nothing else is left', async () => {
      assert.equal(await access.ensureFirstAdmin(null, file()), file());
      const before = text();
      const admin = await access.authenticate(before, here);
      const { token } = await access.rotate('admin', null, askerOf(admin, 'test', ''));
      assert.equal(text(), token);
      assert.equal(statSync(file()).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(folder), ['admin.token']);
      assert.equal(await codeOf(access.authenticate(before, here)), 'request.unauthenticated');
      assert.equal((await access.authenticate(token, here)).name, 'admin');
    });

    it('somebody else’s new token leaves the file alone', async () => {
      await access.ensureFirstAdmin(null, file());
      const before = text();
      await add('ci');
      await access.rotate('ci', null, root);
      assert.equal(text(), before);
    });

    it('one whose token was given has no file, and gets none', async () => {
      await access.ensureFirstAdmin(new Secret('given'), file());
      await access.rotate('admin', null, root);
      assert.equal(existsSync(file()), false);
    });

    it('the last one can be neither revoked nor given a token that ends', async () => {
      await access.ensureFirstAdmin(null, file());
      await access.create({ name: 'limited', role: 'admin', scope: 'pool:gpu', lifetime: null }, root);
      await access.create({ name: 'brief', role: 'admin', scope: '*', lifetime: hour }, root);
      assert.equal(await codeOf(access.revoke('admin', root)), 'access.last-admin');
      assert.equal(await codeOf(access.rotate('admin', hour, root)), 'access.last-admin');
      await access.create({ name: 'second', role: 'admin', scope: '*', lifetime: null }, root);
      assert.equal(await codeOf(access.revoke('admin', root)), null);
      assert.equal(await codeOf(access.revoke('second', root)), 'access.last-admin');
    });
  });

  it('a limited scope manages no principals, whatever the role', async () => {
    const limited = askerOf({ name: 'p', role: 'admin', scope: 'pool:gpu' }, 'test', '');
    const wanted = { name: 'more', role: 'admin', scope: '*', lifetime: null } as const;
    assert.equal(await codeOf(access.create(wanted, limited)), 'access.scope');
    assert.equal(await codeOf(access.rotate('p', null, limited)), 'access.scope');
    assert.equal(await codeOf(access.revoke('p', limited)), 'access.scope');
    const operator = askerOf({ name: 'o', role: 'operator', scope: '*' }, 'test', '');
    assert.equal(await codeOf(access.create(wanted, operator)), 'request.forbidden');
    await assert.rejects(async () => access.list(operator), /principal\.manage/);
  });

  it('a scope that is none makes no principal', async () => {
    const wanted = { name: 'x', role: 'viewer', scope: 'rack:7', lifetime: null } as const;
    assert.equal(await codeOf(access.create(wanted, root)), 'request.invalid');
  });
});
