import assert from 'node:assert/strict';
import type { PortId } from '../../../plugin-api/index.ts';
import { AdminService, assertRefused, enrolment, rackConfig, type Answer } from './admin-service.ts';

/** Two machines: node-1 in the pool gpu, node-2 in the pool cpu. Both hold an instance and have a past. */
describe('admin API: scopes', () => {
  const service = new AdminService();
  let gpu: string;
  let viewer: string;
  let idOf: Readonly<Record<string, string>>;
  let operationOf: Readonly<Record<string, string>>;

  before(async () => {
    await service.start();
    const ids: Record<string, string> = {};
    for (const [n, pool] of [
      [1, 'gpu'],
      [2, 'cpu'],
    ] as const)
      ids[`node-${n}`] = (await service.post('/machines', enrolment(n, { pool }))).json.machine.id;
    idOf = ids;
    await service.call('PUT', '/rack-config', { raw: rackConfig(), type: 'text/plain' });
    await service.offline(async (tx) => {
      const rows = await tx.machines.list();
      for (const machine of rows) {
        await tx.alarms.insert({
          id: `al-${machine.hostname}`,
          at: 1,
          code: 'operation.deadline',
          machineId: machine.id,
          text: `about ${machine.hostname}`,
        });
        await tx.ports.desire({
          switch: 'tor-a',
          port: `TenGigabitEthernet 1/${machine.hostname.slice(-1)}` as PortId,
          machineId: machine.id,
          purpose: 'park',
          desired: { native: null, tagged: [], admin: 'down' },
        });
      }
      await tx.alarms.insert({
        id: 'al-all',
        at: 2,
        code: 'store.conflict',
        machineId: null,
        text: 'about all',
      });
    });
    // Nobody answers for their BMCs: these end by themselves, as failed.
    const began: Record<string, string> = {};
    for (const name of ['node-1', 'node-2']) {
      const begun = await service.post(`/machines/${name}/commission`, { grade: 'none' });
      assert.equal(begun.status, 202, begun.text);
      began[name] = begun.json.operation.id;
      await service.until(`/operations/${began[name]}`, (at) => at.operation.endedAt !== null);
      await service.post(`/machines/${name}/quarantine`, { reason: 'test' });
    }
    operationOf = began;
    const add = async (name: string, role: string, scope: string): Promise<string> => {
      const made = await service.post('/principals', { name, role, scope });
      assert.equal(made.status, 201, made.text);
      return made.json.token;
    };
    gpu = await add('gpu-team', 'operator', 'pool:gpu');
    viewer = await add('gpu-eyes', 'viewer', 'machine:node-1');
  });
  after(() => service.dispose());

  const as = (token: string, method: string, path: string, body?: unknown): Promise<Answer> =>
    service.call(method, path, { token, ...(body !== undefined && { body }) });

  it('lists hold what lies within, and nothing else', async () => {
    for (const token of [gpu, viewer]) {
      const { machines } = (await as(token, 'GET', '/machines')).json;
      assert.deepEqual(
        machines.map((one) => one.hostname),
        ['node-1'],
      );
      const { operations } = (await as(token, 'GET', '/operations')).json;
      assert.deepEqual(
        operations.map((one) => one.id),
        [operationOf['node-1']],
      );
      const { ports } = (await as(token, 'GET', '/ports')).json;
      assert.deepEqual(
        ports.map((one) => one.machineId),
        [idOf['node-1']],
      );
      const rack = (await as(token, 'GET', '/rack-config')).json;
      assert.deepEqual(
        rack.wires.map((wire) => wire.server),
        ['node-1'],
      );
      assert.equal(rack.switches.length, 1);
      for (const path of ['/machines', '/operations', '/ports', '/rack-config', '/alarms', '/health']) {
        const { status, text } = await as(token, 'GET', path);
        assert.equal(status, 200, path);
        for (const foreign of ['node-2', idOf['node-2']!, 'about all', '52:54:00:aa:00:02'])
          assert.ok(!text.includes(foreign), `${path} shows ${foreign}: ${text}`);
        if (path === '/alarms' || path === '/health') assert.match(text, /node-1/);
      }
    }
    const everything = await service.get('/alarms');
    assert.match(everything.text, /node-2/);
    assert.match(everything.text, /about all/);
  });

  it('a scope that has nothing sees empty lists', async () => {
    const { token } = (
      await service.post('/principals', { name: 'none', role: 'operator', scope: 'pool:none' })
    ).json;
    for (const [path, key] of [
      ['/machines', 'machines'],
      ['/operations', 'operations'],
      ['/ports', 'ports'],
      ['/switches', 'switches'],
      ['/alarms', 'alarms'],
    ] as const)
      assert.deepEqual((await as(token, 'GET', path)).json, { [key]: [] }, path);
  });

  it('a single thing outside is answered as one that does not exist', async () => {
    for (const name of ['node-2', idOf['node-2']!]) {
      for (const path of [`/machines/${name}`, `/machines/${name}/ports`, `/operations?machine=${name}`]) {
        const hidden = await as(gpu, 'GET', path);
        assertRefused(hidden, 404, 'machine.unknown');
        const absent = await as(gpu, 'GET', path.replace(name, 'nobody'));
        assert.equal(hidden.text.replaceAll(name, 'X'), absent.text.replaceAll('nobody', 'X'));
      }
    }
    const id = operationOf['node-2']!;
    for (const path of [`/operations/${id}`, `/operations/${id}/follow`])
      assertRefused(await as(gpu, 'GET', path), 404, 'request.not-found');
  });

  it('every command on a machine outside is refused, in the words it has for one that is not there', async () => {
    const nic = { mac: '52:54:00:aa:00:01', broadcastUri: 'vlan://100' };
    const order = { externalId: 'cloud/i-2-7-VM', template: 'debian', nics: [] };
    const commands: readonly (readonly [string, string, unknown])[] = [
      ['POST', 'commission', {}],
      ['POST', 'erase', {}],
      ['POST', 'start', order],
      ['POST', 'stop', {}],
      ['POST', 'reboot', {}],
      ['POST', 'plug-nic', nic],
      ['POST', 'unplug-nic', nic],
      ['POST', 'destroy', {}],
      ['POST', 'commission?plan=1', {}],
      ['POST', 'quarantine', {}],
      ['DELETE', 'quarantine', {}],
    ];
    const before = (await service.get('/machines/node-2')).json;
    for (const [method, verb, body] of commands) {
      const refused = await as(gpu, method, `/machines/node-2/${verb}`, body);
      assertRefused(refused, 403, 'access.scope');
      const absent = await as(gpu, method, `/machines/nobody/${verb}`, body);
      assert.equal(refused.text.replaceAll('node-2', 'X'), absent.text.replaceAll('nobody', 'X'), verb);
    }
    assertRefused(await as(gpu, 'DELETE', '/machines/node-2'), 403, 'access.scope');
    for (const id of [operationOf['node-2']!, 'op-none'])
      for (const verb of ['cancel', 'retry'])
        assertRefused(await as(gpu, 'POST', `/operations/${id}/${verb}`, {}), 403, 'access.scope');
    assert.deepEqual((await service.get('/machines/node-2')).json, before);
  });

  it('commands within go through, and remember who asked and why', async () => {
    const begun = await as(gpu, 'POST', '/machines/node-1/commission', { grade: 'none', reason: 'ticket 7' });
    assert.equal(begun.status, 202, begun.text);
    const { operation } = begun.json;
    assert.deepEqual(operation.requester, { principal: 'gpu-team', door: 'admin', reason: 'ticket 7' });
    await service.until(`/operations/${operation.id}`, (at) => at.operation.endedAt !== null);
    const retried = await as(gpu, 'POST', `/operations/${operation.id}/retry`, {});
    assert.equal(retried.status, 202, retried.text);
    await service.until(`/operations/${retried.json.operation.id}`, (at) => at.operation.endedAt !== null);
    assertRefused(
      await as(viewer, 'POST', `/operations/${operation.id}/retry`, {}),
      403,
      'request.forbidden',
    );
  });

  it('what concerns the whole service takes the whole scope', async () => {
    assertRefused(
      await service.call('PUT', '/rack-config', { token: gpu, raw: rackConfig(), type: 'text/plain' }),
      403,
      'access.scope',
    );
    assertRefused(await as(gpu, 'DELETE', '/images/x'), 403, 'access.scope');
    assertRefused(await as(gpu, 'POST', '/images?name=x'), 403, 'access.scope');
    const { token } = (await service.post('/principals', { name: 'half', role: 'admin', scope: 'pool:gpu' }))
      .json;
    assertRefused(await as(token, 'GET', '/principals'), 403, 'access.scope');
    const metrics = await fetch(`${service.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(metrics.status, 403);
    // Images are everybody's to choose from.
    assert.equal((await as(gpu, 'GET', '/images')).status, 200);
  });

  it('nobody enrols a machine out of another’s scope into the own one, or out of the own one', async () => {
    const body = (n: number, more: object) => enrolment(n, more as Readonly<Record<string, unknown>>);
    assertRefused(await as(gpu, 'POST', '/machines', body(2, { pool: 'gpu' })), 403, 'access.scope');
    assertRefused(await as(gpu, 'POST', '/machines', body(1, { pool: 'cpu' })), 403, 'access.scope');
    assertRefused(await as(gpu, 'POST', '/machines', body(7, {})), 403, 'access.scope');
    // Not even the id of who has the name is told.
    const taken = await as(gpu, 'POST', '/machines', body(7, { hostname: 'node-2', pool: 'gpu' }));
    assertRefused(taken, 403, 'access.scope');
    assert.ok(!taken.text.includes(idOf['node-2']!));
    assert.equal((await service.get('/machines/node-2')).json.machine.pool, 'cpu');
    const made = await as(gpu, 'POST', '/machines', body(7, { pool: 'gpu' }));
    assert.equal(made.status, 201, made.text);
    assert.equal((await as(gpu, 'DELETE', '/machines/node-7', {})).status, 204);
  });

  it('a machine that is moved to another pool leaves the scope at once', async () => {
    assert.equal((await service.post('/machines', enrolment(8, { pool: 'gpu' }))).status, 201);
    assert.equal((await as(gpu, 'GET', '/machines/node-8')).status, 200);
    assert.equal((await service.post('/machines', enrolment(8, { pool: 'cpu' }))).status, 201);
    assertRefused(await as(gpu, 'GET', '/machines/node-8'), 404, 'machine.unknown');
    assertRefused(await as(gpu, 'POST', '/machines/node-8/commission', {}), 403, 'access.scope');
  });

  it('who asked is in the log for what is no operation too, and no token is', () => {
    const lines = service.log
      .split('\n')
      .filter((line) => line.includes('admin request'))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    assert.ok(lines.some((line) => line['by'] === 'gpu-team' && line['action'] === 'machine.forget'));
    assert.ok(lines.some((line) => line['by'] === 'admin' && line['reason'] === 'test'));
    for (const token of [gpu, viewer, service.token]) assert.ok(!service.log.includes(token));
  });
});
