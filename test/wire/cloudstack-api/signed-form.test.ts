import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { Secret } from '../../../plugin-api/index.ts';
import { signature, signedForm } from '../../../src/wire/cloudstack-api/signed-form.ts';
import { unwrapped } from '../../../src/wire/cloudstack-api/response.ts';

describe('CloudStack API: signed requests', () => {
  it("has the signature of the programmer's guide", () => {
    // The keys and the result are those of the guide's own example, "How to sign an API call with Python".
    const parameters = {
      apiKey: 'plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg',
      command: 'listUsers',
      response: 'json',
    };
    const secret = new Secret(
      'VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ',
    );
    assert.equal(signature(parameters, secret), 'TTpdDq/7j/J58XCRHomKoQXEQds=');
  });

  it('encodes what Java encodes, and has names in lower case, in any order', () => {
    const keys = { apiKey: new Secret('Key-1'), secretKey: new Secret('s3cret') };
    const form = signedForm('listHosts', { zoneid: "a b+*!~'()é", name: 'N' }, keys, new Date(0));
    assert.ok(form.includes('zoneid=a%20b%2B*%21%7E%27%28%29%C3%A9&'), form);
    assert.ok(form.includes('expires=1970-01-01T00%3A00%3A00%2B0000&'), form);
    const canonical =
      'apikey=key-1&command=listhosts&expires=1970-01-01t00%3a00%3a00%2b0000&name=n&response=json' +
      '&signatureversion=3&zoneid=a%20b%2b*%21%7e%27%28%29%c3%a9';
    const expected = createHmac('sha1', 's3cret').update(canonical).digest('base64');
    assert.equal(new URLSearchParams(form).get('signature'), expected);
    assert.ok(!form.includes('s3cret'));
  });

  it('is read back by every form reader as it was meant', () => {
    const keys = { apiKey: new Secret('k'), secretKey: new Secret('s') };
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        const form = signedForm('x', { value }, keys, new Date(0));
        assert.equal(new URLSearchParams(form).get('value'), value);
      }),
    );
  });

  it('finds the one value of an answer, and refuses anything else', () => {
    assert.deepEqual(unwrapped('{"listhostsresponse":{"count":1}}'), { count: 1 });
    for (const wrong of ['', '[]', '{}', '"x"', 'null', '{"a":1,"b":2}', '<html>'])
      assert.throws(() => unwrapped(wrong), wrong);
  });
});
