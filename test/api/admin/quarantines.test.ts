import assert from 'node:assert/strict';
import { AdminService, assertRefused, enrolment, rackConfig, type Answer } from './admin-service.ts';

/** Two machines on one switch: node-1 in the pool gpu, node-2 in the pool cpu. */
describe('admin API: quarantines', () => {
  const service = new AdminService();
  let gpu: string;
  let viewer: string;

  before(async () => {
    await service.start();
    for (const [n, pool] of [
      [1, 'gpu'],
      [2, 'cpu'],
    ] as const)
      await service.post('/machines', enrolment(n, { pool }));
    await service.call('PUT', '/rack-config', { raw: rackConfig(), type: 'text/plain' });
    const add = async (name: string, role: string, scope: string): Promise<string> =>
      (await service.post('/principals', { name, role, scope })).json.token;
    gpu = await add('gpu-team', 'operator', 'pool:gpu');
    viewer = await add('eyes', 'viewer', '*');
  });
  after(() => service.dispose());

  const at = (kind: string, name: string): string => `/quarantines/${kind}/${encodeURIComponent(name)}`;
  const as = (token: string, method: string, path: string, body?: unknown): Promise<Answer> =>
    service.call(method, path, { token, ...(body !== undefined && { body }) });
  const withheld = async (name: string): Promise<string | null> =>
    (await service.get(`/machines/${name}`)).json.machine.withheld?.kind ?? null;
  const put = (kind: string, name: string, reason = 'a test') =>
    service.call('POST', at(kind, name), { body: { reason } });
  const lift = (kind: string, name: string, reason = 'done') =>
    service.call('DELETE', at(kind, name), { body: { reason } });

  it('a person puts and lifts each kind; who and why is kept, and how often', async () => {
    for (const [kind, name, concerned] of [
      ['machine', 'node-1', ['machine', null]],
      ['bmc', 'node-2', [null, 'bmc']],
      ['port', 'tor-a te1/1', ['port', null]],
      ['switch', 'tor-a', ['switch', 'switch']],
    ] as const) {
      for (const times of [1, 2]) {
        const made = await put(kind, name, 'fans are loud');
        assert.equal(made.status, 200, made.text);
        assert.equal(made.json.quarantines[0]!.count, times);
        assert.equal((await put(kind, name)).json.quarantines[0]!.count, times, 'it is there already');
        assert.deepEqual([await withheld('node-1'), await withheld('node-2')], concerned);
        const [lifted] = (await lift(kind, name, 'they were changed')).json.quarantines;
        assert.deepEqual(
          [lifted!.since, lifted!.by, lifted!.liftedBy, lifted!.liftedBecause],
          [null, 'admin', 'admin', 'they were changed'],
        );
      }
    }
    assert.deepEqual((await service.get('/quarantines')).json.quarantines, []);
    assert.equal((await service.get('/quarantines?lifted=1')).json.quarantines.length, 4);
    assert.deepEqual((await service.get(at('port', 'tor-a Te 1/2'))).json.quarantines, []);
  });

  it('status, metrics and alarms tell of it', async () => {
    await put('switch', 'tor-a', 'smells of smoke');
    await put('bmc', 'node-1');
    const health = (await service.get('/health')).json;
    assert.deepEqual(
      health.quarantinedDevices.map(({ kind, label }) => [kind, label]),
      [
        ['bmc', 'node-1'],
        ['switch', 'tor-a'],
      ],
    );
    const metrics = await fetch(`${service.url}/metrics`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    const text = await metrics.text();
    assert.match(text, /^csbm_quarantined\{kind="switch"\} 1$/m);
    assert.match(text, /^csbm_quarantined\{kind="port"\} 0$/m);
    const { text: alarms } = await service.get('/alarms');
    assert.match(alarms, /switch tor-a is quarantined: admin: smells of smoke/);
    await lift('switch', 'tor-a');
    await lift('bmc', 'node-1');
  });

  it('a plan for a first deployment says why there is none', async () => {
    await put('switch', 'tor-a', 'being replaced');
    await service.storage.run(async (tx) => {
      const machine = (await tx.machines.findByHostname('node-1'))!;
      const evidence = { summary: 'a test', verified: true };
      const clean = { grade: 'full', at: 1, evidence } as const;
      await tx.machines.update({ ...machine, state: 'ready', clean });
    });
    const start = {
      ...{ externalId: 'x/i-1', template: 't', firstDeployment: true, sshKeys: [], userData: null },
      nics: [{ mac: '02:00:00:00:00:01', broadcastUri: 'vlan://7', defaultNic: true, deviceId: 0 }],
    };
    const refused = await service.post('/machines/node-1/start?plan=1', start);
    const said = assertRefused(refused, 409, 'machine.quarantined');
    assert.match(said, /its switch tor-a is in quarantine: admin: being replaced/);
    await lift('switch', 'tor-a');
    assert.notEqual(
      (await service.post('/machines/node-1/start?plan=1', start)).json.error.code,
      'machine.quarantined',
    );
  });

  it('keeps to roles and scopes', async () => {
    await put('switch', 'tor-a');
    await put('port', 'tor-a te1/2');
    await put('bmc', 'node-2');
    const seen = (await as(gpu, 'GET', '/quarantines')).json.quarantines;
    assert.deepEqual(
      seen.map(({ kind, name }) => `${kind} ${name}`),
      ['switch tor-a'],
      'node-1 is cabled to it',
    );
    assert.equal((await as(viewer, 'GET', '/quarantines')).json.quarantines.length, 3);
    assertRefused(await as(viewer, 'POST', at('bmc', 'node-1'), {}), 403, 'request.forbidden');
    assertRefused(await as(gpu, 'DELETE', at('switch', 'tor-a'), {}), 403, 'access.scope');
    assertRefused(await as(gpu, 'DELETE', at('bmc', 'node-2'), {}), 403, 'access.scope');
    assertRefused(await as(gpu, 'POST', at('port', 'tor-a te1/2'), {}), 403, 'access.scope');
    assertRefused(await as(gpu, 'POST', at('port', 'tor-z te1/2'), {}), 403, 'access.scope');
    assert.deepEqual((await as(gpu, 'GET', at('bmc', 'node-2'))).json.quarantines, []);
    assert.equal((await as(gpu, 'POST', at('port', 'tor-a te1/1'), {})).status, 200);
    assertRefused(await put('switch', 'tor-z'), 404, 'request.not-found');
    assertRefused(await put('port', 'tor-a nonsense'), 400, 'value.port');
    assertRefused(await put('rack', 'tor-a'), 404, 'request.not-found');
    for (const [kind, name] of [
      ['switch', 'tor-a'],
      ['port', 'tor-a te1/1'],
      ['port', 'tor-a te1/2'],
      ['bmc', 'node-2'],
    ] as const)
      assert.equal((await lift(kind, name)).status, 200);
  });

  it('a machine that is forgotten takes its history with it', async () => {
    await put('bmc', 'node-2');
    assert.equal((await service.call('DELETE', '/machines/node-2', { body: {} })).status, 204);
    const { quarantines } = (await service.get('/quarantines?lifted=1')).json;
    assert.ok(quarantines.every(({ kind, label }) => kind !== 'bmc' || label !== 'node-2'));
    assert.equal((await service.get('/quarantines')).json.quarantines.length, 0);
  });
});
