import assert from 'node:assert/strict';
import { parseApiKey } from '../../../src/wire/oauth/api-key.ts';
import { MaasService } from './maas-service.ts';

interface TokenView {
  readonly consumer_key: string;
  readonly token_key: string;
  readonly token_secret: string;
  readonly name: string;
}

describe('MAAS API: accounts', () => {
  const maas = new MaasService();
  before(() => maas.start());
  after(() => maas.dispose());

  const written = ({ consumer_key, token_key, token_secret }: TokenView): string =>
    `${consumer_key}:${token_key}:${token_secret}`;

  describe('users/', () => {
    it('tells who asks', async () => {
      const { status, json } = await maas.get('users/?op=whoami');
      assert.equal(status, 200);
      assert.deepEqual(json, {
        username: 'admin',
        email: '',
        is_local: true,
        is_superuser: true,
        resource_uri: '/MAAS/api/2.0/users/admin/',
      });
      const key = await maas.newUser('who', { email: 'who@example.org' });
      const { is_superuser, email } = (await maas.get('users/?op=whoami', { key })).json as {
        is_superuser: boolean;
        email: string;
      };
      assert.deepEqual([is_superuser, email], [false, 'who@example.org']);
    });

    it('makes, shows and removes users; a name may be given again, and nothing of the former one is left', async () => {
      const fields = {
        username: 'anna',
        email: 'anna@example.org',
        password: 'correct horse',
        is_superuser: '0',
      };
      const made = await maas.post('users/', fields);
      assert.equal(made.status, 200, made.text);
      assert.deepEqual((await maas.get('users/anna/')).json, made.json);
      assert.equal((await maas.post('users/', fields)).status, 400);
      const key = await maas.newKey('anna');
      assert.equal((await maas.get('users/?op=whoami', { key })).status, 200);
      assert.equal((await maas.call('DELETE', 'users/anna/')).status, 204);
      assert.equal((await maas.get('users/anna/')).status, 404);
      assert.equal((await maas.get('users/?op=whoami', { key })).status, 401);
      assert.equal((await maas.post('users/', { ...fields, is_superuser: 'true' })).status, 200);
      assert.equal((await maas.get('users/?op=whoami', { key })).status, 401);
      const again = (await maas.get('users/anna/')).json as { is_superuser: boolean };
      assert.equal(again.is_superuser, true);
    });

    it('says which field is wrong, and never what was in a password', async () => {
      const fields = { username: 'eve', email: 'e@example.org', password: 'short', is_superuser: '0' };
      const short = await maas.post('users/', fields);
      assert.equal(short.status, 400);
      assert.ok(!short.text.includes('short,'));
      const { username, ...without } = fields;
      assert.equal(username, 'eve');
      assert.deepEqual((await maas.post('users/', without)).json, { username: ['This field is required.'] });
      assert.equal(
        (await maas.post('users/', { ...fields, username: '../x', password: 'long enough' })).status,
        400,
      );
    });

    it('shows a user nobody else, and lets no user manage any', async () => {
      const key = await maas.newUser('nosy');
      const { json } = await maas.get('users/', { key });
      assert.deepEqual(
        (json as { username: string }[]).map(({ username }) => username),
        ['nosy'],
      );
      assert.equal((await maas.get('users/admin/', { key })).status, 404);
      const refused = await maas.call('DELETE', 'users/admin/', { key });
      assert.equal(refused.status, 403);
      assert.equal(refused.text, 'This method is reserved for admin users.');
      assert.equal((await maas.post('users/', {}, { key })).status, 403);
      assert.equal((await maas.call('DELETE', 'users/admin/')).status, 400);
    });

    it('takes an operator with a limited scope for a user', async () => {
      const key = await maas.newUser('half', { role: 'operator', scope: 'pool:gpu' });
      assert.equal((await maas.post('users/', {}, { key })).status, 403);
    });
  });

  describe('account/', () => {
    it('makes, lists, renames and deletes the keys of who asks', async () => {
      const key = await maas.newUser('keys');
      const made = await maas.post('account/?op=create_authorisation_token', { name: 'laptop' }, { key });
      assert.equal(made.status, 200, made.text);
      const token = made.json as TokenView;
      assert.match(written(token), /^[A-Za-z0-9]{18}:[A-Za-z0-9]{18}:[A-Za-z0-9]{32}$/);
      const mine = parseApiKey(written(token))!;
      const renamed = await maas.post(
        'account/?op=update_token_name',
        { token: written(token), name: 'desk' },
        { key: mine },
      );
      assert.deepEqual([renamed.status, renamed.text], [202, 'Accepted']);
      const list = (await maas.get('account/?op=list_authorisation_tokens', { key })).json;
      assert.deepEqual((list as { name: string }[]).map(({ name }) => name).sort(), ['desk', 'test']);
      assert.ok((list as { token: string }[]).some((one) => one.token === written(token)));
      const gone = await maas.post(
        'account/?op=delete_authorisation_token',
        { token_key: token.token_key },
        { key },
      );
      assert.equal(gone.status, 204);
      assert.equal((await maas.get('users/?op=whoami', { key: mine })).status, 401);
      assert.equal(
        (await maas.post('account/?op=delete_authorisation_token', { token_key: token.token_key }, { key }))
          .status,
        404,
      );
      assert.equal((await maas.post('account/?op=delete_authorisation_token', {}, { key })).status, 400);
    });

    it('touches nobody else’s keys, and does not tell that there are any', async () => {
      const key = await maas.newUser('thief');
      for (const [op, fields] of [
        ['delete_authorisation_token', { token_key: maas.key.tokenKey }],
        ['update_token_name', { token: maas.key.tokenKey, name: 'mine' }],
      ] as const) {
        const answer = await maas.post(`account/?op=${op}`, fields, { key });
        const unknown = await maas.post(
          `account/?op=${op}`,
          { ...fields, token_key: 'none', token: 'none' },
          { key },
        );
        assert.deepEqual([answer.status, answer.text], [unknown.status, unknown.text]);
        assert.equal(answer.status, 404);
      }
      assert.equal((await maas.get('users/?op=whoami')).status, 200);
    });
  });

  describe('accounts/authenticate/', () => {
    const path = '/MAAS/accounts/authenticate/';
    const login = (fields: Readonly<Record<string, string>>) => maas.post(path, fields, { key: null });

    it('gives a key for name and password, and the same one to the same client', async () => {
      await maas.newUser('pat', { password: 'correct horse' });
      const fields = { username: 'pat', password: 'correct horse', consumer: 'pat@laptop' };
      const first = await login(fields);
      assert.equal(first.status, 200, first.text);
      const token = first.json as TokenView;
      assert.equal(token.name, 'pat@laptop');
      assert.deepEqual((await login(fields)).json, token);
      assert.notEqual(
        ((await login({ ...fields, consumer: 'other' })).json as TokenView).token_key,
        token.token_key,
      );
      const who = await maas.get('users/?op=whoami', { key: parseApiKey(written(token)) });
      assert.equal((who.json as { username: string }).username, 'pat');
      assert.equal((await maas.get(path, { key: null })).status, 405);
    });

    it('refuses what is wrong with an empty 403, whether or not there is such a user; many tries with 429', async () => {
      for (const fields of [
        { username: 'pat', password: 'wrong horse' },
        { username: 'nobody', password: 'correct horse' },
        { username: 'admin', password: '' },
        {},
      ] as Readonly<Record<string, string>>[]) {
        const answer = await login(fields);
        assert.deepEqual([answer.status, answer.text], [403, '']);
      }
      let status = 403;
      for (let tries = 0; status === 403 && tries < 30; tries += 1)
        ({ status } = await login({ username: 'pat', password: 'wrong again' }));
      assert.equal(status, 429);
    });
  });

  it('an administrator manages keys and passwords over the admin API too; secrets are shown once', async () => {
    const { admin } = maas;
    await maas.newUser('viewer', { role: 'viewer' });
    const token = (await admin.post('/principals', { name: 'clerk', role: 'operator' })).json.token;
    const made = await admin.call('POST', '/api-keys', { body: { name: 'a' }, token });
    assert.equal(made.status, 201, made.text);
    const { apiKey, key } = made.json as unknown as {
      apiKey: { token: string; principal: string };
      key: string;
    };
    assert.equal(apiKey.principal, 'clerk');
    const list = await admin.call('GET', '/api-keys', { token });
    assert.ok(
      list.text.includes(apiKey.token) && !list.text.includes(parseApiKey(key)!.tokenSecret.reveal()),
    );
    assert.equal(
      (await admin.call('POST', '/api-keys', { body: { principal: 'viewer' }, token })).status,
      403,
    );
    assert.equal((await admin.call('GET', '/api-keys?principal=viewer', { token })).status, 403);
    assert.equal(
      (await admin.call('PUT', `/api-keys/${maas.key.tokenKey}`, { body: { name: 'x' }, token })).status,
      404,
    );
    assert.equal((await admin.call('POST', '/api-keys', { body: { principal: 'nobody' } })).status, 404);
    assert.equal((await admin.call('PUT', `/api-keys/${apiKey.token}`, { body: { name: 'b' } })).status, 204);
    assert.equal(
      (await admin.call('PUT', '/principals/clerk/password', { body: { password: 'now it is long' } }))
        .status,
      204,
    );
    assert.equal(
      (await admin.call('PUT', '/principals/clerk/password', { body: { password: 'short' } })).status,
      400,
    );
    const login = await maas.post(
      '/MAAS/accounts/authenticate/',
      { username: 'clerk', password: 'now it is long' },
      { key: null },
    );
    // The address is throttled since the test before, unless that test ran alone.
    assert.ok([200, 429].includes(login.status), login.text);
  });
});
