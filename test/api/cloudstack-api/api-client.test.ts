import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { createAuthority } from '../../../lab/management-server/certificate.ts';
import { LabApiServer } from '../../../lab/management-server/api-server.ts';
import { CodedError, milliseconds, seconds, Secret } from '../../../plugin-api/index.ts';
import { ApiClient, type ApiSettings } from '../../../src/api/cloudstack-api/api-client.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import {
  issueCertificateResult,
  listCapabilitiesResponse,
} from '../../../src/wire/cloudstack-api/response.ts';
import { certificateRequest } from '../../../src/wire/x509/certificate-request.ts';
import { generateKeyPairSync } from 'node:crypto';

const apiKey = 'Api-Key_1';
const secretKey = 'very-s3cret/key+=';
const authority = createAuthority();

describe('CloudStack API: client', () => {
  const server = new LabApiServer({ apiKey, secretKey, authority });
  before(() => server.start());
  after(() => server.stop());
  afterEach(() => {
    server.behaviours.instead = null;
    server.behaviours.silent = false;
    server.behaviours.jobError = null;
  });

  const client = (more: Partial<ApiSettings> = {}, secret = secretKey, url = server.url): ApiClient =>
    new ApiClient({ url, apiKey: new Secret(apiKey), secretKey: new Secret(secret) }, new SystemClock(), {
      jobPoll: milliseconds(5),
      ...more,
    });
  const version = (api: ApiClient): Promise<unknown> =>
    api.call('listCapabilities', {}, listCapabilitiesResponse);
  /** The error, with nothing of the keys in it. */
  const failure = async (work: Promise<unknown>): Promise<CodedError> => {
    const error = await work.then(
      () => assert.fail('it succeeded'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof CodedError);
    const told = `${error.message} ${JSON.stringify(error)} ${inspect(error, { depth: 10 })}`;
    assert.ok(!told.includes(secretKey) && !told.includes(encodeURIComponent(secretKey)));
    assert.match(error.message, /CloudStack API 127\.0\.0\.1:\d+\/client\/api/);
    return error;
  };

  it('asks with a signature that the server verifies, and without anything in the URL', async () => {
    assert.deepEqual(await version(client()), { capability: { cloudstackversion: '4.20.1.0' } });
    assert.equal(server.accessLog.at(-1), 'POST /client/api');
  });

  it('says that the keys are wrong', async () => {
    const error = await failure(version(client({}, 'wrong')));
    assert.equal(error.code, 'cloudstack.credentials');
    assert.match(error.message, /unable to verify user credentials/);
  });

  it('is refused when the clocks differ too much', async () => {
    const error = await failure(version(client({ signatureLife: seconds(-5) })));
    assert.equal(error.code, 'cloudstack.credentials');
  });

  it('takes nothing for an answer that is none', async () => {
    const answers: readonly [number, string, string][] = [
      [200, '<html>login</html>', 'cloudstack.answer'],
      [503, 'Service Unavailable', 'cloudstack.answer'],
      [200, '{"listcapabilitiesresponse":{}}', 'cloudstack.answer'],
      [500, '{"listcapabilitiesresponse":{"capability":{"cloudstackversion":"4.20"}}}', 'cloudstack.answer'],
      [302, '', 'cloudstack.answer'],
      [200, '{"errorresponse":{"errorcode":530,"errortext":"db"}}', 'cloudstack.refused'],
      [530, '{"errorresponse":{"errorcode":530,"cserrorcode":9999,"errortext":"db"}}', 'cloudstack.refused'],
      [429, '{"errorresponse":{"errorcode":429,"errortext":"slow down"}}', 'cloudstack.refused'],
    ];
    for (const [status, text, code] of answers) {
      server.behaviours.instead = { status, text };
      const error = await failure(version(client()));
      assert.equal(error.code, code, text);
      assert.equal(error.retry === 'later', status === 429 || code === 'cloudstack.answer', text);
    }
  });

  it('waits only so long', async () => {
    server.behaviours.silent = true;
    const error = await failure(version(client({ requestTimeout: milliseconds(50) })));
    assert.equal(error.code, 'cloudstack.unreachable');
    assert.match(error.message, /no answer in time/);
  });

  it('says when nobody is there', async () => {
    const gone = new LabApiServer({ apiKey, secretKey, authority });
    await gone.start();
    const { url } = gone;
    await gone.stop();
    const error = await failure(version(client({}, secretKey, url)));
    assert.equal(error.code, 'cloudstack.unreachable');
    assert.match(error.message, /ECONNREFUSED/);
  });

  it('talks TLS to the server that its CA names, and to no other', async () => {
    const { pem: cert, keyPem: key } = authority.issue('api', ['127.0.0.1']);
    const secure = new LabApiServer({ apiKey, secretKey, authority, tls: { cert, key } });
    await secure.start();
    try {
      const endpoint = { url: secure.url, apiKey: new Secret(apiKey), secretKey: new Secret(secretKey) };
      const trusting = new ApiClient({ ...endpoint, caPem: authority.pem }, new SystemClock());
      assert.deepEqual(await version(trusting), { capability: { cloudstackversion: '4.20.1.0' } });
      const error = await failure(version(new ApiClient(endpoint, new SystemClock())));
      assert.equal(error.code, 'cloudstack.unreachable');
      assert.match(error.message, /certificate/);
    } finally {
      await secure.stop();
    }
  });

  describe('jobs', () => {
    const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const csr = certificateRequest({ key, commonName: 'c', organization: 'o', addresses: ['127.0.0.1'] });

    it('are waited for', async () => {
      server.behaviours.jobLooks = 3;
      const { certificates } = await client().job('issueCertificate', { csr }, issueCertificateResult);
      assert.match(certificates.certificate, /BEGIN CERTIFICATE/);
      assert.ok(server.asked('queryAsyncJobResult') >= 4);
    });

    it('may fail, with a reason', async () => {
      server.behaviours.jobError = { errorcode: 530, errortext: 'Failed to issue client certificate' };
      const error = await failure(client().job('issueCertificate', { csr }, issueCertificateResult));
      assert.equal(error.code, 'cloudstack.refused');
      assert.match(error.message, /Failed to issue client certificate \(530\)/);
    });

    it('are not waited for without end', async () => {
      server.behaviours.jobLooks = 1e9;
      const error = await failure(
        client({ jobTimeout: milliseconds(60) }).job('issueCertificate', { csr }, issueCertificateResult),
      );
      assert.equal(error.code, 'cloudstack.unreachable');
      assert.match(error.message, /did not end in time/);
    });
  });
});
