import assert from 'node:assert/strict';
import { Secret } from '../../../plugin-api/index.ts';
import { MaasService, type MaasAnswer } from './maas-service.ts';

describe('MAAS API: the door', () => {
  const maas = new MaasService();
  before(() => maas.start());
  after(async () => {
    const { log } = maas.admin;
    const secret = maas.key.tokenSecret.reveal();
    await maas.dispose();
    assert.ok(!log.includes(secret), 'a secret is in the log');
  });

  const refusedWith = (answer: MaasAnswer, status: number, body: string | RegExp): void => {
    assert.equal(answer.status, status, answer.text);
    if (typeof body === 'string') assert.equal(answer.text, body);
    else assert.match(answer.text, body);
    assert.ok(!answer.text.includes(maas.key.tokenSecret.reveal()), 'a secret is in the answer');
  };

  describe('entry points', () => {
    it('tells version and capabilities to anybody', async () => {
      const { status, json, headers } = await maas.get('version/', { key: null });
      assert.equal(status, 200);
      assert.equal(headers.get('content-type'), 'application/json; charset=utf-8');
      const { capabilities, version, subversion } = json as {
        capabilities: string[];
        version: string;
        subversion: string;
      };
      assert.ok(
        capabilities.includes('network-deployment-ubuntu') && capabilities.includes('authenticate-api'),
      );
      assert.equal(version, '3.5.0');
      assert.equal(subversion, '');
    });

    it('speaks 2.0, and says of 1.0 that it is gone', async () => {
      const two = await maas.get('/MAAS/api/version/', { key: null });
      assert.equal(two.text, '2.0');
      assert.equal(two.headers.get('content-type'), 'text/plain');
      assert.equal((await maas.get('/MAAS/api/1.0/version/', { key: null })).status, 410);
      assert.deepEqual((await maas.get('/MAAS/accounts/login/', { key: null })).json, {
        authenticated: false,
        external_auth_url: null,
        no_users: false,
      });
    });

    it('knows no other path', async () => {
      refusedWith(await maas.get('nothing/'), 404, 'Unknown API endpoint: /MAAS/api/2.0/nothing/.');
      refusedWith(await maas.get('/else', { key: null }), 404, /Unknown API endpoint/);
      refusedWith(await maas.get('users/%zz/'), 404, /Unknown API endpoint/);
    });
  });

  describe('signatures', () => {
    it('are needed: without one, or with half of one, it is 401 without a challenge', async () => {
      const header = { authorization: 'OAuth oauth_token="x"' };
      for (const answer of [
        await maas.get('users/?op=whoami', { key: null }),
        await maas.get('users/?op=whoami', { key: null, headers: header }),
        await maas.get('users/?op=whoami', { key: null, headers: { authorization: 'Bearer x' } }),
        await maas.post('users/', { op: 'x' }, { key: null }),
        await maas.call('POST', 'users/', { key: null, body: 'x', type: 'text/plain' }),
        await maas.call('PATCH', 'users/', { key: null }),
      ]) {
        refusedWith(answer, 401, 'Forbidden');
        assert.equal(answer.headers.get('www-authenticate'), null);
      }
    });

    it('that are wrong are 401 with a challenge, and the answer says nothing of the right one', async () => {
      const { key } = maas;
      const secret = new Secret('x'.repeat(32));
      const wrong: readonly (readonly [MaasAnswer, RegExp])[] = [
        [
          await maas.get('users/?op=whoami', { key: { ...key, tokenSecret: secret } }),
          /^Authorization Error: 'Invalid signature/,
        ],
        [
          await maas.get('users/?op=whoami', {
            key: { ...key, tokenSecret: secret },
            signatureMethod: 'HMAC-SHA1',
          }),
          /^Authorization Error: 'Invalid signature/,
        ],
        [await maas.get('users/?op=whoami', { key: { ...key, tokenKey: 'nobody' } }), /Invalid API key/],
        [await maas.get('users/?op=whoami', { key: { ...key, consumerKey: 'nobody' } }), /Invalid API key/],
        [
          await maas.get('users/?op=whoami', { key: { ...key, tokenKey: 'n'.repeat(3_000) } }),
          /Invalid API key/,
        ],
        [await maas.get('users/?op=whoami', { ahead: -310 }), /Expired timestamp: given \d+ and now \d+ has/],
        [await maas.get('users/?op=whoami', { ahead: 310 }), /Expired timestamp/],
      ];
      for (const [answer, body] of wrong) {
        refusedWith(answer, 401, body);
        assert.equal(answer.headers.get('www-authenticate'), 'OAuth realm="OAuth"');
        assert.match(answer.headers.get('content-type')!, /^text\/html/);
      }
      for (const ahead of [-290, 290])
        assert.equal((await maas.get('users/?op=whoami', { ahead })).status, 200);
    });

    it('cover query and body where they are HMAC: blank and repeated fields, PUT, JSON and multipart too', async () => {
      const hmac = { signatureMethod: 'HMAC-SHA1' } as const;
      assert.equal((await maas.get('users/?op=whoami&x=&x=%2525', hmac)).status, 200);
      const made = await maas.post('account/', { op: 'create_authorisation_token', name: 'a b&c=ü' }, hmac);
      assert.equal(made.status, 200, made.text);
      const { token_key } = made.json as { token_key: string };
      const body = JSON.stringify({ op: 'update_token_name', token: token_key, name: 'x' });
      assert.equal(
        (await maas.call('POST', 'account/', { ...hmac, body, type: 'application/json' })).status,
        202,
      );
      refusedWith(
        await maas.call('PUT', 'users/', {
          ...hmac,
          form: [
            ['a', ''],
            ['a', '1'],
          ],
        }),
        405,
        '',
      );
    });

    it('count once: a nonce is refused when it comes again, however it was signed', async () => {
      for (const signatureMethod of ['PLAINTEXT', 'HMAC-SHA1'] as const) {
        const options = { signatureMethod, nonce: `once-${signatureMethod}` };
        assert.equal((await maas.get('users/?op=whoami', options)).status, 200);
        refusedWith(await maas.get('users/?op=whoami', options), 401, /Nonce already used: once-/);
      }
      refusedWith(await maas.get('users/?op=whoami', { nonce: 'n'.repeat(129) }), 401, /nonce is too long/);
    });

    it('may come in the query or in the body', async () => {
      const { consumerKey, tokenKey, tokenSecret } = maas.key;
      const values = (nonce: string): Record<string, string> => ({
        oauth_consumer_key: consumerKey,
        oauth_token: tokenKey,
        oauth_signature_method: 'PLAINTEXT',
        oauth_timestamp: String(Math.floor(Date.now() / 1_000)),
        oauth_nonce: nonce,
        oauth_signature: `&${tokenSecret.reveal()}`,
      });
      const query = new URLSearchParams(values('in-query')).toString();
      assert.equal((await maas.get(`users/?op=whoami&${query}`, { key: null })).status, 200);
      const made = await maas.post(
        'account/?op=create_authorisation_token',
        { ...values('in-body'), name: 'b' },
        { key: null },
      );
      assert.equal(made.status, 200, made.text);
      assert.equal((made.json as { name: string }).name, 'b');
    });

    it('of a key that was revoked, or whose owner was, are refused', async () => {
      const key = await maas.newUser('leaver');
      assert.equal((await maas.get('users/?op=whoami', { key })).status, 200);
      const second = await maas.newKey('leaver');
      assert.equal((await maas.admin.call('DELETE', `/api-keys/${key.tokenKey}`, { body: {} })).status, 204);
      refusedWith(await maas.get('users/?op=whoami', { key }), 401, /Invalid API key/);
      assert.equal((await maas.get('users/?op=whoami', { key: second })).status, 200);
      await maas.admin.call('DELETE', '/principals/leaver', { body: {} });
      refusedWith(await maas.get('users/?op=whoami', { key: second }), 401, /Invalid API key/);
    });
  });

  describe('requests', () => {
    const fields = (op: string): Record<string, string> => ({ ...(op && { op }), name: 'k' });
    const create = 'create_authorisation_token';

    it('name the operation in the query, in the body or at the end of the path; the query goes first', async () => {
      for (const [path, op] of [
        [`account/?op=${create}`, ''],
        ['account/', create],
        ['account/?op=', create],
        [`account/op-${create}`, ''],
        [`account/?op=${create}`, 'delete_authorisation_token'],
        ['account/op-delete_authorisation_token', create],
        [`account?op=${create}`, ''],
      ] as const) {
        const answer = await maas.post(path, fields(op));
        assert.equal(answer.status, 200, `${path} ${op}: ${answer.text}`);
      }
    });

    it('with an empty operation have none; with one that there is not, 400 in MAAS’s words', async () => {
      const unknown = 'Unrecognised signature: method=POST op=';
      refusedWith(await maas.post('account/?op='), 400, `${unknown}None`);
      refusedWith(await maas.post('account/?op=power_cycle'), 400, `${unknown}power_cycle`);
      refusedWith(await maas.get('account/'), 400, 'Unrecognised signature: method=GET op=None');
    });

    it('of a method that no action has are 405 with those there are', async () => {
      for (const method of ['PUT', 'PATCH', 'OPTIONS']) {
        const answer = await maas.call(method, 'account/');
        assert.equal(answer.status, 405, method);
        assert.equal(answer.headers.get('allow'), 'GET, POST');
        assert.equal(answer.text, '');
      }
      assert.equal((await maas.call('HEAD', 'account/')).status, 405);
    });

    it('that cannot be read are 400 with the reason', async () => {
      const bad: readonly (readonly [string, string, RegExp])[] = [
        ['application/json', '{"name": ', /^Bad Request: the body is not JSON/],
        ['application/json', '[]', /^Bad Request: the JSON is not an object/],
        ['multipart/form-data', '--b--', /^Bad Request: the content type names no usable boundary/],
      ];
      for (const [type, body, text] of bad)
        refusedWith(await maas.call('POST', `account/?op=${create}`, { body, type }), 400, text);
      refusedWith(
        await maas.call('POST', 'account/', {
          body: 'x',
          headers: { 'content-encoding': 'gzip' },
          type: 'text/plain',
        }),
        415,
        /content-encoding/,
      );
    });

    it('with too much are refused before it is read: of nobody known sooner', async () => {
      const big = { body: Buffer.alloc(9 * 1024 * 1024, 'a'), type: 'application/x-www-form-urlencoded' };
      refusedWith(
        await maas.call('POST', 'account/', { ...big, headers: {} }),
        413,
        /larger than 8388608 bytes/,
      );
      refusedWith(
        await maas.call('POST', 'account/', {
          key: null,
          body: big.body.subarray(0, 70_000),
          type: big.type,
        }),
        413,
        /larger than 65536 bytes/,
      );
    });

    it('are taken as the client wrote the host, or as a proxy says that it did', async () => {
      const describe = async (headers: Readonly<Record<string, string>>): Promise<string> => {
        const answer = await maas.get('describe/', { key: null, headers });
        const { resources } = answer.json as { resources: { anon: { uri: string } }[] };
        return resources[0]!.anon.uri;
      };
      assert.equal(await describe({}), `${maas.url}/MAAS/api/2.0/version/`);
      const forwarded = { 'x-forwarded-host': 'maas.example.org:8443, inner', 'x-forwarded-proto': 'https' };
      assert.equal(await describe(forwarded), 'https://maas.example.org:8443/MAAS/api/2.0/version/');
      assert.equal(await describe({ 'x-forwarded-host': '"><script>' }), `${maas.url}/MAAS/api/2.0/version/`);
    });
  });
});

describe('MAAS API: throttling', () => {
  const maas = new MaasService();
  before(() => maas.start());
  after(() => maas.dispose());

  it('many wrong signatures from one address are throttled; a key that was right goes on', async () => {
    assert.equal((await maas.get('users/?op=whoami')).status, 200);
    const key = { ...maas.key, tokenKey: 'nobody' };
    let last: MaasAnswer;
    let tries = 0;
    do last = await maas.get('users/?op=whoami', { key });
    while (last.status === 401 && (tries += 1) < 100);
    assert.equal(last.status, 429);
    assert.match(last.headers.get('retry-after')!, /^\d+$/);
    assert.equal((await maas.get('users/?op=whoami')).status, 200);
  });
});

describe('MAAS API: strict', () => {
  const maas = new MaasService('strict: canonical, reportedVersion: "3.4.0"');
  before(() => maas.start());
  after(() => maas.dispose());

  it('takes no path without its slash, and tells the version that it was told to', async () => {
    const answer = await maas.get('users?op=whoami');
    assert.equal(answer.status, 404);
    assert.equal(answer.text, 'Unknown API endpoint: /MAAS/api/2.0/users.');
    assert.equal(((await maas.get('version/')).json as { version: string }).version, '3.4.0');
  });
});
