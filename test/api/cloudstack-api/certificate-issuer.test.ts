import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabApiServer } from '../../../lab/management-server/api-server.ts';
import { createAuthority } from '../../../lab/management-server/certificate.ts';
import { CodedError, minutes, Secret, type Clock } from '../../../plugin-api/index.ts';
import { FileCredentials } from '../../../src/api/cloudstack-agent/cloud-credentials.ts';
import { ApiClient } from '../../../src/api/cloudstack-api/api-client.ts';
import { CertificateIssuer } from '../../../src/api/cloudstack-api/certificate-issuer.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { until } from '../../support/until.ts';

const keys = { apiKey: 'key', secretKey: 'secret' };
const authority = createAuthority();
const days = (n: number): ReturnType<typeof minutes> => minutes(n * 24 * 60);

describe('CloudStack API: our certificate', () => {
  let folder: string;
  let api: LabApiServer;
  /** Stands for a management server: only its address counts. */
  let server: Server;
  let issuer: CertificateIssuer | null;
  const clock: Clock = new SystemClock();

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-certificate-'));
    writeFileSync(join(folder, 'ca.pem'), authority.pem);
    api = new LabApiServer({ ...keys, authority, issueFor: [] });
    await api.start();
    server = createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    issuer = null;
  });
  afterEach(async () => {
    await issuer?.stop();
    await api.stop();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const credentials = (addresses: readonly string[] = []): FileCredentials =>
    new FileCredentials({
      trust: { caFile: join(folder, 'ca.pem') },
      files: null,
      provisionedFile: join(folder, 'agent.pem'),
      addresses,
      warnBefore: days(15),
      clock,
      log: createLog({ level: 'silent' }),
    });
  const make = (
    keeper: FileCredentials,
    more: { readonly port?: number; readonly addresses?: readonly string[]; readonly every?: number } = {},
  ): CertificateIssuer => {
    const endpoint = {
      url: api.url,
      apiKey: new Secret(keys.apiKey),
      secretKey: new Secret(keys.secretKey),
    };
    const { port = (server.address() as AddressInfo).port, addresses = [], every = 5 } = more;
    issuer = new CertificateIssuer({
      api: new ApiClient(endpoint, clock, { jobPoll: 5 as ReturnType<typeof minutes> }),
      keeper,
      servers: [{ host: '127.0.0.1', port }],
      addresses,
      renewBefore: days(10),
      clock,
      log: createLog({ level: 'silent' }),
      settings: { checkEvery: every as ReturnType<typeof minutes> },
    });
    return issuer;
  };

  it('is issued for the address from which we reach the servers, and used', async () => {
    const keeper = credentials();
    const { expiresAt, source } = await make(keeper).issue();
    assert.equal(source, 'provisioned');
    const { identity } = await keeper.current();
    assert.equal(identity?.expiresAt, expiresAt);
    const certificate = new X509Certificate(identity.certificatePem);
    assert.ok(certificate.verify(new X509Certificate(authority.pem).publicKey));
    assert.equal(certificate.subjectAltName, 'IP Address:127.0.0.1');
    const file = join(folder, 'agent.pem');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(readFileSync(file, 'utf8'), /PRIVATE KEY/);
    const told = api.requests.flatMap(({ parameters }) => [...parameters.values()]).join('\n');
    assert.ok(!told.includes('PRIVATE KEY'), 'the key never leaves');
  });

  it('names configured addresses too, and they are enough where no server can be reached', async () => {
    const dead = createServer().listen(0, '127.0.0.1');
    await once(dead, 'listening');
    const { port } = dead.address() as AddressInfo;
    dead.close();
    await assert.rejects(
      make(credentials(), { port }).issue(),
      (error) => error instanceof CodedError && error.code === 'agent.unreachable',
    );
    assert.equal(api.asked('issueCertificate'), 0);
    const keeper = credentials(['198.51.100.7']);
    await make(keeper, { port, addresses: ['198.51.100.7'] }).issue();
    const { identity } = await keeper.current();
    assert.equal(new X509Certificate(identity!.certificatePem).subjectAltName, 'IP Address:198.51.100.7');
  });

  it('is not taken from another CA than the pinned one', async () => {
    writeFileSync(join(folder, 'ca.pem'), createAuthority().pem);
    await assert.rejects(
      make(credentials()).issue(),
      (error) => error instanceof CodedError && error.code === 'agent.identity',
    );
  });

  it('is asked for by itself when there is none, and tried again after a failure', async () => {
    api.behaviours.jobError = { errorcode: 530, errortext: 'no' };
    const keeper = credentials();
    await keeper.current();
    make(keeper).start();
    await until(() => api.asked('issueCertificate') >= 2, 'a second attempt');
    api.behaviours.jobError = null;
    await until(() => keeper.status().source === 'provisioned', 'a certificate');
    await issuer!.stop();
    // The lab's certificates hold longer than the renewal begins before their end.
    assert.equal(keeper.status().state, 'good');
  });

  it('is renewed in time, and at most once a day whatever the CA gives', async () => {
    const keeper = credentials();
    const first = make(keeper);
    await first.issue();
    const { certificatePem } = (await keeper.current()).identity!;
    await first.stop();
    const { requests } = api;
    requests.length = 0;
    let looks = 0;
    const counted = {
      requestCertificate: (addresses: readonly string[]) => keeper.requestCertificate(addresses),
      installCertificate: (pem: string, addresses: readonly string[]) =>
        keeper.installCertificate(pem, addresses),
      status: () => {
        looks += 1;
        return keeper.status();
      },
    };
    const renewing = new CertificateIssuer({
      api: new ApiClient(
        { url: api.url, apiKey: new Secret(keys.apiKey), secretKey: new Secret(keys.secretKey) },
        clock,
        { jobPoll: 5 as ReturnType<typeof minutes> },
      ),
      keeper: counted,
      servers: [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }],
      addresses: [],
      // Longer than the lab's certificates hold: always due.
      renewBefore: days(400),
      clock,
      log: createLog({ level: 'silent' }),
      settings: { checkEvery: 1 as ReturnType<typeof minutes> },
    });
    issuer = renewing;
    renewing.start();
    const changed = async (): Promise<boolean> =>
      (await keeper.current()).identity!.certificatePem !== certificatePem;
    await until(changed, 'another certificate');
    const seen = looks;
    await until(() => looks > seen + 3, 'further looks at it');
    await renewing.stop();
    assert.equal(api.asked('issueCertificate'), 1);
  });
});
