import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import OAuth from 'oauth-1.0a';
import { parseApiKey } from '../../../src/wire/oauth/api-key.ts';
import { fromFields, fromHeader } from '../../../src/wire/oauth/oauth-values.ts';
import { percentEncode } from '../../../src/wire/oauth/percent-encoding.ts';
import { authorizationHeader } from '../../../src/wire/oauth/sign.ts';
import {
  queryEntries,
  signatureBase,
  signatureMethods,
  type Entry,
} from '../../../src/wire/oauth/signature.ts';
import { isSignatureRight } from '../../../src/wire/oauth/verify.ts';

const key = parseApiKey('9djdj82h48djs9d2ab:kkk9d7dh3k39sjv7ab:dh893hdasih9dh893hdasih9dh893hda')!;
const signed = { timestamp: 137_131_201, nonce: '7d8f3e4a' };

describe('OAuth 1.0a', () => {
  it('writes the base string of RFC 5849 section 3.4.1.1', () => {
    const base = signatureBase({
      method: 'post',
      url: 'http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b',
      parameters: [
        ['oauth_consumer_key', '9djdj82h48djs9d2'],
        ['oauth_token', 'kkk9d7dh3k39sjv7'],
        ['oauth_signature_method', 'HMAC-SHA1'],
        ['oauth_timestamp', '137131201'],
        ['oauth_nonce', '7d8f3e4a'],
        ...queryEntries('c2&a3=2+q'),
      ],
    });
    assert.equal(
      base,
      'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
    );
  });

  it('keeps a port that is not the scheme’s own, and the path as it is', () => {
    const base = (url: string): string =>
      decodeURIComponent(signatureBase({ method: 'GET', url, parameters: [] }).split('&')[1]!);
    assert.equal(base('http://h:5240/MAAS/a%20b/'), 'http://h:5240/MAAS/a%20b/');
    assert.equal(base('https://h:443/x'), 'https://h/x');
    assert.equal(base('https://h:80/x'), 'https://h:80/x');
    assert.equal(base('http://[::1]:80'), 'http://[::1]/');
  });

  it('signs as the package oauth-1.0a does, whatever the fields are', () => {
    const peer = new OAuth({
      consumer: { key: key.consumerKey, secret: '' },
      signature_method: 'HMAC-SHA1',
      hash_function: (text, secret) => createHmac('sha1', secret).update(text).digest('base64'),
    });
    const token = { key: key.tokenKey, secret: key.tokenSecret.reveal() };
    // It sorts names and values otherwise where a name comes twice, and knows no field without name: those are not asked of it.
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((text) => !/^(oauth_|__proto__$)/.test(text));
    const value = fc.string({ unit: 'grapheme', maxLength: 20 });
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([one]) => one }), (fields) => {
        const data = peer.authorize(
          { url: 'http://h:5240/MAAS/api/2.0/machines/', method: 'POST', data: Object.fromEntries(fields) },
          token,
        );
        const theirs = fromHeader(peer.toHeader(data).Authorization)!;
        const request = { method: 'POST', url: 'http://h:5240/MAAS/api/2.0/machines/', bodyFields: fields };
        assert.ok(isSignatureRight(theirs, key.tokenSecret, request));
      }),
    );
  });

  it('verifies what it signs, with repeated names, blank values and any text; and nothing that was changed', () => {
    const entry = fc.tuple(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.string({ unit: 'binary', maxLength: 12 }),
    );
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 4 }),
        fc.array(entry, { maxLength: 4 }),
        fc.constantFrom(...signatureMethods),
        (inQuery, inBody, signatureMethod) => {
          // What goes over the wire is what both ends decode from it.
          const query = inQuery.map(([a, b]) => `${percentEncode(a)}=${percentEncode(b)}`).join('&');
          const body = inBody.map(([a, b]) => `${percentEncode(a)}=${percentEncode(b)}`).join('&');
          const bodyFields = queryEntries(body);
          const url = `http://h:5240/MAAS/api/2.0/machines/?${query}`;
          const header = authorizationHeader({
            key,
            method: 'PUT',
            url,
            fields: bodyFields,
            signatureMethod,
            ...signed,
          });
          const values = fromHeader(header)!;
          const request = { method: 'PUT', url, bodyFields };
          assert.ok(isSignatureRight(values, key.tokenSecret, request));
          const last = values.signature.at(-2) === 'A' ? 'B' : 'A';
          const forged = {
            ...values,
            signature: values.signature.slice(0, -2) + last + values.signature.at(-1)!,
          };
          assert.ok(!isSignatureRight(forged, key.tokenSecret, request));
          if (signatureMethod === 'PLAINTEXT') return;
          assert.ok(!isSignatureRight(values, key.tokenSecret, { ...request, method: 'POST' }));
          assert.ok(
            !isSignatureRight(values, key.tokenSecret, {
              ...request,
              bodyFields: [...bodyFields, ['x', 'y']],
            }),
          );
          assert.ok(!isSignatureRight(values, key.tokenSecret, { ...request, url: `${url}&z=1` }));
        },
      ),
    );
  });

  it('verifies a signature whose values came in the query or in the body', () => {
    const url = 'http://h/MAAS/api/2.0/users/?op=whoami';
    const values: Entry[] = [
      ['oauth_consumer_key', key.consumerKey],
      ['oauth_token', key.tokenKey],
      ['oauth_signature_method', 'HMAC-SHA1'],
      ['oauth_timestamp', '137131201'],
      ['oauth_nonce', 'abc'],
    ];
    const secret = `&${key.tokenSecret.reveal()}`;
    const base = signatureBase({ method: 'GET', url, parameters: values });
    const signature = createHmac('sha1', secret).update(base).digest('base64');
    const all: Entry[] = [...values, ['oauth_signature', signature]];
    const inQuery = all.map(([a, b]) => `${a}=${percentEncode(b)}`).join('&');
    const fromQuery = fromFields(queryEntries(inQuery))!;
    assert.ok(
      isSignatureRight(fromQuery, key.tokenSecret, {
        method: 'GET',
        url: `${url}&${inQuery}`,
        bodyFields: [],
      }),
    );
    assert.ok(isSignatureRight(fromFields(all)!, key.tokenSecret, { method: 'GET', url, bodyFields: all }));
  });
});

describe('the Authorization header', () => {
  const secret = key.tokenSecret.reveal();
  const { consumerKey, tokenKey } = key;
  /** As the clients write them: docs of none of these say it, their sources do. */
  const written: Readonly<Record<string, string>> = {
    gomaasapi: `OAuth realm="MAAS+API", oauth_nonce="0123456789abcdef0123456789abcdef", oauth_signature="%26${secret}", oauth_version="1.0", oauth_timestamp="1700000000", oauth_token="${tokenKey}", oauth_signature_method="PLAINTEXT", oauth_consumer_key="${consumerKey}"`,
    'the MaaS plugin of CloudStack': `OAuth  realm="", oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_nonce="0c0ae2d0-8e9c-4b1c-8a3e-1a2b3c4d5e6f", oauth_timestamp="1700000000", oauth_consumer_key="${consumerKey}", oauth_token="${tokenKey}", oauth_signature="%26${secret}" `,
    libmaas: `OAuth realm="OAuth", oauth_nonce="138094563478120936451700000000", oauth_timestamp="1700000000", oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="${consumerKey}", oauth_token="${tokenKey}", oauth_signature="%26${secret}"`,
    'the raw secret': `oauth oauth_consumer_key=${consumerKey},oauth_token=${tokenKey},oauth_signature_method=PLAINTEXT,oauth_timestamp=1,oauth_nonce=n,oauth_signature=&${secret}`,
  };
  for (const [client, header] of Object.entries(written))
    it(`is read as ${client} writes it`, () => {
      const values = fromHeader(header);
      assert.equal(values?.consumerKey, consumerKey);
      assert.equal(values.token, tokenKey);
      assert.ok(
        isSignatureRight(values, key.tokenSecret, { method: 'GET', url: 'http://h/', bodyFields: [] }),
      );
    });

  it('is nothing when a value is missing, empty or there twice, or the scheme is another', () => {
    const whole = written['libmaas']!;
    assert.ok(fromHeader(whole));
    for (const name of ['consumer_key', 'token', 'signature', 'signature_method', 'timestamp', 'nonce']) {
      assert.equal(fromHeader(whole.replace(new RegExp(`oauth_${name}="[^"]*"`), 'x="y"')), null, name);
      assert.equal(
        fromHeader(whole.replace(new RegExp(`oauth_${name}="[^"]*"`), `oauth_${name}=""`)),
        null,
        name,
      );
    }
    assert.equal(fromHeader(`${whole}, oauth_token="other"`), null);
    for (const other of ['', 'Basic YTpi', 'OAuth', 'OAuth2 x', 'Bearer a'])
      assert.equal(fromHeader(other), null);
  });

  it('of any text is read or is nothing, and never breaks', () => {
    const piece = fc.oneof(
      fc.constantFrom('OAuth ', 'oauth_token', '=', '"', ',', '%', '%zz', 'oauth_nonce="', ' ', '\t', '\0'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        fromHeader(`OAuth ${pieces.join('')}`);
      }),
    );
    fromHeader(`OAuth ${randomBytes(100_000).toString('latin1')}`);
  });
});

describe('an API key', () => {
  it('is three parts, and shows its secret to nobody who does not ask for it', () => {
    assert.equal(parseApiKey(' a:b:c\n')?.tokenSecret.reveal(), 'c');
    for (const odd of ['', 'a:b', 'a:b:c:d', 'a::c', 'a b:c:d']) assert.equal(parseApiKey(odd), null, odd);
    assert.ok(!JSON.stringify(key).includes(key.tokenSecret.reveal()));
  });
});
