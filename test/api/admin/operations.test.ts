import assert from 'node:assert/strict';
import { LabBmc } from '../../../lab/bmc/lab-bmc.ts';
import { StandaloneHost } from '../../../lab/bmc/standalone-host.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import type { OperationView, StepView } from '../../../src/cli/admin/api-types.ts';
import { AdminService, assertRefused, bmcPassword, enrolment, type Body } from './admin-service.ts';

/** A line of the stream: one of the two. */
interface Line {
  readonly step?: StepView;
  readonly operation?: OperationView;
}

describe('admin API: operations', () => {
  const service = new AdminService();
  const bmc = new LabBmc({
    host: new StandaloneHost({ clock: new SystemClock() }),
    traits: { users: [{ name: 'admin', password: bmcPassword, level: 3 }] },
  });

  before(async () => {
    await service.start();
    const { port } = await bmc.listen();
    const target = { host: '127.0.0.1', port, username: 'admin', password: bmcPassword };
    // Its ports are somebody else's, so that commissioning goes as far as waiting for the machine to boot.
    assert.equal(
      (await service.post('/machines', enrolment(1, { bmc: target, wiring: 'none' }))).status,
      201,
    );
    // Nobody answers for this one's BMC.
    assert.equal((await service.post('/machines', enrolment(2))).status, 201);
  });
  after(async () => {
    await service.dispose();
    await bmc.close();
  });

  const commission = async (name: string): Promise<OperationView> => {
    const begun = await service.post(`/machines/${name}/commission`, { grade: 'none', reason: 'test' });
    assert.equal(begun.status, 202, begun.text);
    return begun.json.operation;
  };
  /** The lines of the stream, until it ends by itself. */
  const follow = async (id: string): Promise<readonly Line[]> => {
    const response = await fetch(`${service.url}/api/v1/operations/${id}/follow`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Line);
  };
  /** As far as it comes alone: the machine was told to boot, and does not. */
  const waitsForBoot = ({ steps }: Body): boolean => steps.some((step) => step.name === 'commission.wait');

  it('fails with the reason, journaled with each attempt', async () => {
    const { id, state, kind, subject } = await commission('node-2');
    assert.equal(state, 'running');
    assert.equal(kind, 'commission');
    assert.match(subject, /^[a-z0-9]{6}$/);
    const { operation, steps } = await service.until(
      `/operations/${id}`,
      (at) => at.operation.endedAt !== null,
    );
    assert.equal(operation.state, 'failed');
    assert.equal(operation.error?.code, 'power.unreachable');
    assert.ok(steps.length >= 2);
    assert.ok(steps.every((step) => step.state === 'failed' && step.error?.code === 'power.unreachable'));
  });

  it('is followed live to its end: every step with its outcome, the ended operation last', async () => {
    const { id } = await commission('node-1');
    const following = follow(id);
    await service.until(`/operations/${id}`, waitsForBoot);
    assert.equal((await service.post(`/operations/${id}/cancel`, { reason: 'enough' })).status, 202);
    const lines = await following;
    const last = lines.at(-1)!;
    assert.equal(last.operation!.state, 'cancelled');
    assert.equal(last.operation!.cancelledBy?.reason, 'enough');
    assert.equal(last.operation!.error?.code, 'operation.cancelled');
    const outcomes = new Map<number, string>();
    for (const { step } of lines) if (step) outcomes.set(step.seq, step.state);
    const { steps } = (await service.get(`/operations/${id}`)).json;
    assert.deepEqual(
      [...outcomes.entries()].sort(([a], [b]) => a - b),
      steps.map((step) => [step.seq, step.state]),
    );
    assert.ok(![...outcomes.values()].includes('intent'));
    assert.ok(steps.some((step) => /cipher suite 17/.test(step.evidence?.summary ?? '')));
    assert.ok(!JSON.stringify(lines).includes(bmcPassword));
  });

  it('is followed after its end too: the same, at once', async () => {
    const { operations } = (await service.get('/operations')).json;
    for (const { id } of operations) {
      const lines = await follow(id);
      assert.ok((lines.at(-1)?.operation?.endedAt ?? 0) > 0);
      const { steps } = (await service.get(`/operations/${id}`)).json;
      assert.deepEqual(
        lines.flatMap((line) => (line.step ? [line.step] : [])),
        steps,
      );
    }
  });

  it('a follower that goes away leaves it running', async () => {
    const { id } = await commission('node-1');
    const gone = new AbortController();
    const response = await fetch(`${service.url}/api/v1/operations/${id}/follow`, {
      headers: { authorization: `Bearer ${service.token}` },
      signal: gone.signal,
    });
    const first = await response.body!.getReader().read();
    assert.equal(first.done, false);
    gone.abort();
    await service.until(`/operations/${id}`, waitsForBoot);

    const { machine } = (await service.get('/machines/node-1')).json;
    assert.deepEqual(machine.operation, { id, kind: 'commission', state: 'running' });
    const active = (await service.get('/operations?active=1')).json.operations;
    assert.deepEqual(
      active.map((one) => one.id),
      [id],
    );
    assert.equal((await service.get('/health')).json.activeOperations, 1);

    const again = await service.post('/machines/node-1/commission', { grade: 'none' });
    assert.equal(again.status, 202);
    assert.equal(again.json.joined, true);
    assert.equal(again.json.operation.id, id);
    assertRefused(await service.post('/machines/node-1/erase', {}), 409, 'operation.conflict');
    assertRefused(await service.call('DELETE', '/machines/node-1'), 409, 'operation.conflict');
    assertRefused(await service.post(`/operations/${id}/retry`, {}), 409, 'operation.conflict');

    await service.post(`/operations/${id}/cancel`, { reason: 'over' });
    await service.until(`/operations/${id}`, (at) => at.operation.state === 'cancelled');
    assert.deepEqual((await service.get('/operations?active=1')).json.operations, []);
  });

  it('survives a restart of the service: it is still there, and still ends once', async () => {
    const { id } = await commission('node-1');
    await service.until(`/operations/${id}`, waitsForBoot);
    await service.stop();
    await service.start();
    assert.equal((await service.get(`/operations/${id}`)).json.operation.state, 'running');
    const following = follow(id);
    await service.post(`/operations/${id}/cancel`, { reason: 'after restart' });
    assert.equal((await following).at(-1)?.operation?.state, 'cancelled');
    assert.equal((await service.get('/machines/node-1')).json.machine.operation, null);
  });

  it('is asked for once more by retry', async () => {
    const { operations } = (await service.get('/operations?machine=node-2')).json;
    const retried = await service.post(`/operations/${operations[0]!.id}/retry`, { reason: 'cabled' });
    assert.equal(retried.status, 202);
    const { id, kind, requester } = retried.json.operation;
    assert.notEqual(id, operations[0]!.id);
    assert.equal(kind, 'commission');
    assert.equal(requester.reason, 'cabled');
    await service.until(`/operations/${id}`, (at) => at.operation.state === 'failed');
  });

  it('lists the newest first, and by machine', async () => {
    const { operations } = (await service.get('/operations')).json;
    const begun = operations.map((one) => one.createdAt);
    assert.deepEqual(
      begun,
      [...begun].sort((a, b) => b - a),
    );
    const { id } = (await service.get('/machines/node-2')).json.machine;
    const mine = (await service.get('/operations?machine=node-2')).json.operations;
    assert.ok(mine.length >= 2 && mine.length < operations.length);
    assert.ok(mine.every((one) => one.machineId === id));
  });

  it('says what it would do, and does nothing', async () => {
    const before = (await service.get('/operations')).json;
    const log = bmc.log.length;
    const planned = await service.post('/machines/node-1/commission?plan=1', { grade: 'quick' });
    assert.equal(planned.status, 200);
    const { plan } = planned.json;
    assert.ok(plan.length > 3);
    for (const { step, lines } of plan) {
      assert.match(step, /\S/);
      assert.ok(Array.isArray(lines));
    }
    assert.ok(!planned.text.includes(bmcPassword));
    assert.deepEqual((await service.get('/operations')).json, before);
    assert.equal(bmc.log.length, log);
  });

  it('counts in the metrics', async () => {
    const response = await fetch(`${service.url}/metrics`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    assert.equal(response.status, 200);
    const text = await response.text();
    assert.match(text, /^csbm_\w*operations\w*\{[^}]*kind="commission"[^}]*outcome="failed"[^}]*\} [1-9]/m);
    assert.match(
      text,
      /^csbm_\w*operations\w*\{[^}]*kind="commission"[^}]*outcome="cancelled"[^}]*\} [1-9]/m,
    );
    assert.match(text, /agent_links/);
    assert.ok(!text.includes(bmcPassword));
  });
});
