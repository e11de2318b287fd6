import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CodedError } from '../../../../plugin-api/index.ts';
import { answerText } from '../../../../src/drivers/deploy/maas/answer-text.ts';
import { parseConnectionString, rootUrl } from '../../../../src/drivers/deploy/maas/connection-string.ts';
import { maasSettings } from '../../../../src/drivers/deploy/maas/maas-settings.ts';

const secret = 'SoSecretThatNobodyMaySeeIt123456';

describe('the connection to an upstream MAAS', () => {
  it("reads CloudStack's old string in any order and case", () => {
    const found = parseConnectionString(
      ` maassecret=${secret}; MAASIP=192.0.2.7 ;MaasConsumerKey=cons;MaasKey=tok;`,
    );
    assert.equal(found.url, 'http://192.0.2.7:5240/MAAS');
    assert.equal(found.key.consumerKey, 'cons');
    assert.equal(found.key.tokenKey, 'tok');
    assert.equal(found.key.tokenSecret.reveal(), secret);
  });

  it('takes ports, IPv6 addresses and URLs as MaasIP', () => {
    const url = (host: string): string =>
      parseConnectionString(`MaasIP=${host};MaasKey=t;MaasSecret=${secret};MaasConsumerKey=c`).url;
    assert.equal(url('192.0.2.7:80'), 'http://192.0.2.7/MAAS');
    assert.equal(url('2001:db8::7'), 'http://[2001:db8::7]:5240/MAAS');
    assert.equal(url('https://maas.example.org/MAAS/api/2.0/'), 'https://maas.example.org/MAAS');
  });

  it('never shows a value of a string that it refuses', () => {
    const wrong = [
      `MaasIP=;MaasKey=t;MaasSecret=${secret};MaasConsumerKey=c`,
      `MaasIP=h;MaasKey=t;MaasSecret=${secret}`,
      `MaasIP=h;MaasKey=t;${secret};MaasConsumerKey=c`,
      `MaasIP=h;${secret}=t;MaasSecret=x;MaasConsumerKey=c`,
      `MaasSecret=${secret};MaasSecret=${secret}`,
      `MaasIP=ftp://u:${secret}@h;MaasKey=t;MaasSecret=s;MaasConsumerKey=c`,
      `MaasIP=http://u:${secret}@h;MaasKey=t;MaasSecret=s;MaasConsumerKey=c`,
    ];
    for (const text of wrong)
      assert.throws(
        () => parseConnectionString(text),
        (error) =>
          error instanceof CodedError && error.code === 'config.invalid' && !error.message.includes(secret),
        text.replace(secret, '***'),
      );
  });

  it('refuses any cut of a good string, or reads it, and shows no secret', () => {
    const good = `MaasIP=192.0.2.7;MaasKey=t;MaasSecret=${secret};MaasConsumerKey=c`;
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(good.length), (from, to) => {
        try {
          parseConnectionString(good.slice(from, to));
        } catch (thrown) {
          assert.ok(thrown instanceof CodedError);
          assert.ok(!thrown.message.includes(secret.slice(0, 6)));
        }
      }),
    );
  });

  it('takes an endpoint as each client of MAAS writes it', () => {
    for (const text of [
      'http://h:5240',
      'http://h:5240/MAAS',
      'http://h:5240/MAAS/',
      'http://h:5240/MAAS/api/2.0/',
    ])
      assert.equal(rootUrl(text), 'http://h:5240/MAAS');
  });

  describe('settings', () => {
    const sources = { env: { KEY: `c:t:${secret}`, ODD: secret }, readFile: () => 'PEM' };
    const refusal = (value: unknown): CodedError => {
      try {
        maasSettings('east', value, sources);
      } catch (thrown) {
        assert.ok(thrown instanceof CodedError);
        assert.ok(!thrown.message.includes(secret), thrown.message);
        return thrown;
      }
      assert.fail('it was taken');
    };

    it('looks the key and the CA up', () => {
      const settings = maasSettings(
        'east',
        { endpoint: 'https://h/MAAS', apiKey: 'env:KEY', caFile: '/ca' },
        sources,
      );
      assert.equal(settings.key.tokenSecret.reveal(), secret);
      assert.equal(settings.caPem, 'PEM');
      assert.equal(settings.requestTimeout, 90_000);
    });

    it('refuses a name that no machine could be enrolled with', () => {
      for (const name of ['', 'a b', 'x'.repeat(28), 'ä'])
        assert.throws(() => maasSettings(name, { endpoint: 'http://h', apiKey: 'env:KEY' }, sources), {
          code: 'config.invalid',
        });
    });

    it('says what is wrong, and where, without values', () => {
      assert.match(
        refusal({ endpoint: 'http://h' }).message,
        /deploy\.maas\.east: endpoint or apiKey is missing/,
      );
      assert.match(
        refusal({ endpoint: 'http://h', apiKey: `c:t:${secret}` }).message,
        /the secret itself stands/,
      );
      assert.match(refusal({ endpoint: 'http://h', apiKey: 'env:ODD' }).message, /not consumer:token:secret/);
      assert.match(
        refusal({ endpoint: 'http://h', apiKey: 'env:KEY', retires: 1 }).message,
        /retires is wrong/,
      );
      assert.match(
        refusal({ endpoint: 'http://h', apiKey: 'env:KEY', grace: 'soon' }).message,
        /grace is wrong/,
      );
      assert.match(refusal({ connection: 'env:KEY', endpoint: 'http://h' }).message, /beside endpoint/);
      assert.equal(refusal({ endpoint: 'http://h', apiKey: 'env:NONE' }).code, 'secret.unresolved');
    });
  });

  describe('texts of errors', () => {
    it('makes one short line of JSON, HTML and plain text', () => {
      const json = '{"mac_addresses":["in use"],"__all__":["no"]}';
      assert.equal(answerText('application/json; charset=utf-8', json, []), 'mac_addresses: in use; no');
      const page = `<html><head><title>502 Bad\nGateway</title></head><body>${'x'.repeat(9_999)}</body></html>`;
      assert.equal(answerText('text/html', page, []), 'a web page titled "502 Bad Gateway"');
      assert.equal(answerText('', page, []), 'a web page titled "502 Bad Gateway"');
      assert.ok(answerText('text/plain', 'y'.repeat(9_999), []).length < 400);
    });

    it("keeps MAAS's disclosed secret, and what was sent as one, to itself", () => {
      const body = `Authorization Error: 'Invalid signature. Expected signature base string: &${secret}'`;
      assert.equal(
        answerText('text/html', body, []),
        "Authorization Error: 'Invalid signature. Expected signature base string ***",
      );
      assert.equal(answerText('text/plain', `bad ${secret}!`, [secret]), 'bad ***!');
    });

    it('has no control characters, whatever comes', () => {
      fc.assert(
        fc.property(
          fc.constantFrom('text/plain', 'text/html', 'application/json'),
          fc.string({ maxLength: 2_000 }),
          (type, body) => {
            const text = answerText(type, body, []);
            assert.ok(text.length <= 303);
            // eslint-disable-next-line no-control-regex -- that is what is looked for
            assert.doesNotMatch(text, /[\u0000-\u001f\u007f]/);
          },
        ),
      );
    });
  });
});
