import assert from 'node:assert/strict';
import { AdminService, assertRefused, enrolment, rackConfig } from './admin-service.ts';

describe('admin API: rack config', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  const upload = (raw: string) => service.call('PUT', '/rack-config', { raw, type: 'text/plain' });
  const check = (raw: string) => service.call('POST', '/rack-config/check', { raw, type: 'text/plain' });

  it('there is none at first', async () => {
    assertRefused(await service.get('/rack-config'), 404, 'request.not-found');
    assert.deepEqual((await service.get('/switches')).json, { switches: [] });
  });

  it('a faulty one is refused whole, with line, path and remedy of everything that is wrong', async () => {
    const lines = rackConfig().split('\n');
    const mac = lines.findIndex((line) => line.includes('52:54:00:aa:00:02'));
    const type = lines.findIndex((line) => line.includes('Force10'));
    lines[mac] = lines[mac]!.replace('52:54:00:aa:00:02', '52:54:00:aa:00');
    lines[type] = lines[type]!.replace('Force10', 'Force11');
    for (const send of [upload, check]) {
      const answer = await send(lines.join('\n'));
      const what = assertRefused(answer, 422, 'rack.invalid');
      const { problems } = answer.json.error;
      assert.deepEqual(
        problems.map((problem) => problem.line).sort((a, b) => a - b),
        [type + 1, mac + 1].sort((a, b) => a - b),
      );
      for (const { line, path, message, remedy } of problems) {
        assert.ok(path && message && remedy);
        assert.ok(what.includes(`line ${line}`));
      }
      assert.ok(!answer.text.includes('sw1tch-Secr3t'));
    }
    assertRefused(await service.get('/rack-config'), 404, 'request.not-found');
  });

  it('what is not JSON, and what is empty, is refused with its line', async () => {
    const answer = await upload('{\n "racks": [,]\n}');
    assert.match(assertRefused(answer, 422, 'rack.invalid'), /line 2/);
    assertRefused(await service.call('PUT', '/rack-config'), 422, 'rack.invalid');
  });

  it('one that is too large is refused', async () => {
    assert.match(
      assertRefused(await upload(' '.repeat(12 * 1024 * 1024)), 400, 'request.invalid'),
      /too large/,
    );
  });

  it('a check takes nothing', async () => {
    const checked = await check(rackConfig());
    assert.equal(checked.status, 200);
    assert.equal(checked.json.switches, 1);
    assert.equal(checked.json.wires, 2);
    assertRefused(await service.get('/rack-config'), 404, 'request.not-found');
  });

  it('an upload is in force at once, and shows no password', async () => {
    const uploaded = await upload(rackConfig());
    assert.deepEqual([uploaded.status, uploaded.json.switches, uploaded.json.wires], [200, 1, 2]);
    const shown = await service.get('/rack-config');
    assert.equal(shown.json.switches[0]?.name, 'tor-a');
    assert.equal(shown.json.switches[0].username, 'admin');
    assert.deepEqual(
      shown.json.wires.map((wire) => [wire.mac, wire.switch, wire.port, wire.server]),
      [
        ['52:54:00:aa:00:01', 'tor-a', 'TenGigabitEthernet 1/1', 'node-1'],
        ['52:54:00:aa:00:02', 'tor-a', 'TenGigabitEthernet 1/2', 'node-2'],
      ],
    );
    const { text } = await service.get('/switches');
    for (const said of [uploaded.text, shown.text, text, service.log])
      assert.ok(!said.includes('sw1tch-Secr3t'));
  });

  it('names the ports of a machine, whichever came first', async () => {
    await service.post('/machines', enrolment(1));
    const { wiring } = (await service.get('/machines/node-1/ports')).json;
    assert.deepEqual(wiring, [{ mac: '52:54:00:aa:00:01', switch: 'tor-a', port: 'TenGigabitEthernet 1/1' }]);
  });

  it('a port of a machine in use may not move or vanish; others may', async () => {
    await service.post('/machines', enrolment(2));
    await service.offline(async (tx) => {
      const machine = await tx.machines.findByHostname('node-1');
      await tx.claims.insert({
        machineId: machine!.id,
        holder: 'instance',
        externalId: 'cloud/i-2-77-VM',
        owner: 'account-7',
        instanceUuid: null,
        since: 1,
        version: 1,
      });
    });
    const moved = await upload(rackConfig(['Te 1/7', 'Te 1/2']));
    const what = assertRefused(moved, 409, 'rack.in-use');
    for (const part of ['node-1', 'i-2-77-VM', '52:54:00:aa:00:01', '1/1'])
      assert.ok(what.includes(part), what);
    assert.ok(!what.includes('node-2'), what);
    const dropped = JSON.parse(rackConfig()) as { racks: { hosts: unknown[] }[] };
    dropped.racks[0]?.hosts.shift();
    assertRefused(await upload(JSON.stringify(dropped)), 409, 'rack.in-use');
    assert.equal((await service.get('/rack-config')).json.wires[0]?.port, 'TenGigabitEthernet 1/1');

    assert.equal((await upload(rackConfig(['Te 1/1', 'Te 1/8']))).status, 200);
    assert.equal((await service.get('/rack-config')).json.wires[1]?.port, 'TenGigabitEthernet 1/8');
  });

  it('survives a restart', async () => {
    const shown = (await service.get('/rack-config')).json;
    await service.stop();
    await service.start();
    assert.deepEqual((await service.get('/rack-config')).json, shown);
  });
});
