import assert from 'node:assert/strict';
import { Secret } from '../../plugin-api/index.ts';
import { Authentication } from '../../src/api/maas/authentication.ts';
import { askerOf } from '../../src/core/access/principal.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { Access } from '../../src/operations/access.ts';
import { ApiKeys } from '../../src/operations/api-keys.ts';
import { Users } from '../../src/operations/users.ts';
import { fromHeader } from '../../src/wire/oauth/oauth-values.ts';
import { rejectsWith } from '../store/rejects-with.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

const root = askerOf({ name: 'root', role: 'admin', scope: '*' }, 'test', '');
const limit = { failures: 3 };

// Wrong passwords for a name made its owner wait, too; and a key that had signed rightly somewhere could be tried from everywhere.
describe('wrong credentials from elsewhere', () => {
  let temp: TempStorage;
  const clock = new ManualClock();
  before(async () => {
    temp = await tempStorage();
  });
  after(() => temp.close());

  it('for a name do not keep out who logged in lately from where it always comes', async () => {
    const users = new Users(temp.storage, clock, new Access(temp.storage, clock), limit);
    const password = new Secret('correct horse');
    await users.create({ name: 'anna', role: 'user', email: '', password }, root);
    await users.login('anna', password, 'home');
    for (let i = 0; i < 3; i += 1)
      await rejectsWith(users.login('anna', new Secret('wrong'), 'elsewhere'), 'request.unauthenticated');
    await rejectsWith(users.login('anna', password, 'abroad'), 'access.throttled');
    assert.equal((await users.login('anna', password, 'home')).name, 'anna');
  });

  it('for a key make that address wait, and every other that never signed, but not its owner', async () => {
    const users = new Users(temp.storage, clock, new Access(temp.storage, clock));
    await users.create({ name: 'cloud', role: 'user', email: '', password: null }, root);
    const keys = new ApiKeys(temp.storage, clock);
    const key = await keys.create('cloud', '', root);
    const authentication = new Authentication(keys, clock, limit);
    let nonce = 0;
    const sign = async (source: string, secret: string): Promise<string> => {
      const values = fromHeader(
        `OAuth oauth_consumer_key="${key.consumerKey}", oauth_token="${key.tokenKey}", oauth_signature_method="PLAINTEXT", oauth_signature="%26${secret}", oauth_timestamp="${Math.floor(clock.now() / 1_000)}", oauth_nonce="n${(nonce += 1)}"`,
      )!;
      try {
        const pending = await authentication.begin(values, source);
        await pending.finish({ method: 'GET', url: 'http://x/', bodyFields: [] });
        return 'in';
      } catch (thrown) {
        return String((thrown as { readonly status?: number }).status);
      }
    };
    const right = key.secret.reveal();
    assert.equal(await sign('cloud', right), 'in');
    for (let i = 0; i < 3; i += 1) assert.equal(await sign('elsewhere', 'wrong'), '401');
    assert.equal(await sign('elsewhere', right), '429');
    assert.equal(await sign('abroad', right), '429', 'the key is being tried');
    assert.equal(await sign('cloud', right), 'in');
  });
});
