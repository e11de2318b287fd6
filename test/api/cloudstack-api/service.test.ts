import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabApiServer } from '../../../lab/management-server/api-server.ts';
import { createAuthority } from '../../../lab/management-server/certificate.ts';
import { LabManagementServer } from '../../../lab/management-server/lab-management-server.ts';
import { guidOfAddress } from '../../../src/api/cloudstack-direct/host-index.ts';
import type { ReconcileReport } from '../../../src/operations/reconcile/instance-reconciler.ts';
import { parseBody } from '../../../src/wire/cloudstack/body.ts';
import { answerClass, readAnswer } from '../../../src/wire/cloudstack/message/answer.ts';
import { csbm, type Ended } from '../../cli/run-csbm.ts';
import { until } from '../../support/until.ts';
import { AdminService, enrolment } from '../admin/admin-service.ts';

const keys = { apiKey: 'Api-Key', secretKey: 'S3cret-Key' };
const directToken = 'direct-token-0123456789';
const uuid = '00000000-0000-4000-8000-000000000077';
const cloudPlace = { cloud: 'acme', zone: 'z', pod: 'p', cluster: 'c' };

describe('the service and CloudStack’s HTTP API', () => {
  const authority = createAuthority();
  const api = new LabApiServer({ ...keys, authority });
  const server = new LabManagementServer({ authority, strict: true });
  let service: AdminService;

  before(async () => {
    await Promise.all([api.start(), server.start()]);
    service = new AdminService(
      undefined,
      `
cloudstack:
  name: acme
  agent: {enabled: true, servers: ["127.0.0.1:${server.address.port}"], caFile: ca.pem}
  api: {url: "${api.url}", apiKey: "file:api.key", secretKey: "file:secret.key"}
  reconcile: {interval: 2s, spacing: 1s, rounds: 2, destroy: true}
  direct: {enabled: true, port: 0, token: "file:direct.token"}
`,
    );
    writeFileSync(join(service.folder, 'ca.pem'), authority.pem);
    writeFileSync(join(service.folder, 'api.key'), `${keys.apiKey}\n`);
    writeFileSync(join(service.folder, 'secret.key'), `${keys.secretKey}\n`);
    writeFileSync(join(service.folder, 'direct.token'), `${directToken}\n`);
    await service.start();
    await service.post('/machines', enrolment(1, { cloudPlace }));
  });
  after(async () => {
    await service.dispose();
    await Promise.all([api.stop(), server.stop()]);
  });

  const run = (...args: string[]): Promise<Ended> =>
    csbm(args, { env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile } });
  const direct = async (
    method: string,
    path: string,
    body?: string,
  ): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${service.directUrl}/cloudstack/direct/hosts/${path}`, {
      method,
      headers: { authorization: `Bearer ${directToken}` },
      ...(body !== undefined && { body }),
    });
    return { status: response.status, text: await response.text() };
  };

  it('has its certificate issued by itself, and again when asked to', async () => {
    const state = async (): Promise<string> => {
      const { text } = await service.get('/health');
      return (JSON.parse(text) as { agentCertificate: { state: string } }).agentCertificate.state;
    };
    await until(async () => (await state()) === 'good', 'a certificate');
    const { code, out, err } = await run('cloudstack', 'certificate', 'issue');
    assert.equal(code, 0, err);
    assert.match(out, /^certificate +.*\nvalid until +\d{4}-/);
    assert.equal(api.asked('issueCertificate'), 2);
  });

  it('takes commands over HTTP for a machine by either of its guids', async () => {
    const { machine } = (await service.get('/machines/node-1')).json;
    const stop = `[{"com.cloud.agent.api.StopCommand":{"vmName":"i-2-77-VM","wait":60}}]`;
    // Its BMC is at 127.0.0.1.
    for (const guid of [`csbm-${machine.id}`, guidOfAddress('127.0.0.1')]) {
      const { status, text } = await direct('POST', `${guid}/commands`, stop);
      assert.equal(status, 200, text);
      const [answer] = parseBody(text);
      assert.equal(answer!.className, answerClass.StopAnswer);
      // Nothing of that instance is there: that is what Stop wants.
      assert.equal(readAnswer(answer!).result, true);
    }
    const start = `[{"com.cloud.agent.api.StartCommand":{"vm":{"name":"i-2-78-VM","id":78,"bootArgs":"doPxe","details":{"template":"x"},"nics":[],"disks":[]}}}]`;
    const [refused] = parseBody((await direct('POST', `csbm-${machine.id}/commands`, start)).text);
    assert.equal(refused!.className, answerClass.StartAnswer);
    assert.equal(readAnswer(refused!).result, false);
    assert.match(readAnswer(refused!).details!, /machine\.state|request\.invalid/);
    assert.equal((await direct('GET', `csbm-${machine.id}/startup`)).status, 503);
    assert.equal((await direct('GET', `csbm-${machine.id}/status`)).status, 503);
    assert.equal((await direct('GET', 'nobody/status')).status, 404);
  });

  it('shows what a round would do, and takes the machine of an expunged instance back', async () => {
    const dry = await run('cloudstack', 'reconcile', '--dry-run', '--json');
    assert.equal(dry.code, 0, dry.err);
    assert.deepEqual((JSON.parse(dry.out) as { report: ReconcileReport }).report.entries, []);

    api.instances.push({ id: uuid, name: 'i-2-77-VM', state: 'Running' });
    await service.offline(async (tx) => {
      const machine = (await tx.machines.findByHostname('node-1'))!;
      await tx.machines.update({ ...machine, state: 'deployed' });
      await tx.claims.insert({
        machineId: machine.id,
        holder: 'instance',
        externalId: 'acme/i-2-77-VM',
        owner: 'account-7',
        // It is learned from CloudStack.
        instanceUuid: null,
        since: 1,
        version: 1,
      });
    });
    const table = await run('cloudstack', 'reconcile');
    assert.equal(table.code, 0, table.err);
    assert.match(table.out, new RegExp(`node-1 +i-2-77-VM +${uuid} +present +Running +- +none`));

    api.instances[0]!.state = 'Expunged';
    await service.until('/operations', ({ operations }) =>
      operations.some(
        ({ kind, requester }) => kind === 'destroy' && requester.principal === 'cloudstack-reconcile',
      ),
    );
    const last = await run('cloudstack', 'reconcile', '--last');
    assert.match(last.out, /round of .*: 1 instances looked up; gone 2 rounds in a row = taken back/);
  });

  it('tells a viewer the last round, and lets nobody with less look or ask', async () => {
    const token = async (role: string, scope: string): Promise<string> =>
      (await service.post('/principals', { name: `${role}-${scope.length}`, role, scope })).json.token;
    const viewer = await token('viewer', '*');
    const path = '/cloudstack/reconcile';
    assert.equal((await service.call('GET', path, { token: viewer })).status, 200);
    assert.equal((await service.call('POST', path, { token: viewer, body: {} })).status, 403);
    const limited = await token('operator', 'pool:default');
    assert.equal((await service.call('GET', path, { token: limited })).status, 403);
    assert.equal(
      (await service.call('POST', '/cloudstack/certificate', { token: limited, body: {} })).status,
      403,
    );
  });

  it('says nothing of keys and tokens in its log', () => {
    for (const secret of [keys.secretKey, keys.apiKey, directToken]) assert.ok(!service.log.includes(secret));
  });
});

describe('the service without CloudStack’s HTTP API', () => {
  it('says what to set', async () => {
    const service = new AdminService();
    await service.start();
    try {
      const env = { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile };
      for (const args of [['reconcile'], ['certificate', 'issue']]) {
        const { code, err } = await csbm(['cloudstack', ...args], { env });
        assert.notEqual(code, 0);
        assert.match(err, /cloudstack\.api/);
      }
    } finally {
      await service.dispose();
    }
  });
});
