import assert from 'node:assert/strict';
import { AdminService, assertRefused, bmcPassword, enrolment } from './admin-service.ts';

describe('admin API: machines', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  describe('enrol', () => {
    it('makes a machine known, once: the same again changes it', async () => {
      const first = await service.post('/machines', enrolment(1));
      assert.equal(first.status, 201);
      const { id, state, bmc, nics } = first.json.machine;
      assert.match(id, /^[a-z0-9]{6}$/);
      assert.equal(state, 'new');
      assert.deepEqual(bmc, {
        driver: 'ipmi',
        host: '127.0.0.1',
        port: 40_001,
        username: 'admin',
        minSuite: 3,
        knownSuite: null,
      });
      assert.deepEqual(
        nics.map((nic) => nic.mac),
        ['52:54:00:aa:00:01', '52:54:00:bb:00:01'],
      );

      const again = await service.post('/machines', enrolment(1, { hostname: 'renamed', pool: 'gpu' }));
      assert.equal(again.status, 201);
      assert.equal(again.json.machine.id, id);
      assert.equal(again.json.machine.pool, 'gpu');
      const byMac = await service.post(
        '/machines',
        enrolment(1, {
          hostname: 'node-1',
          bmc: { host: '127.0.0.1', port: 40_099, username: 'x', password: '' },
        }),
      );
      assert.equal(byMac.json.machine.id, id);
      assert.equal(byMac.json.machine.pool, 'gpu');
      assert.equal((await service.get('/machines')).json.machines.length, 1);
    });

    it('takes MACs in any spelling, and BMCs on port 623 unless said otherwise', async () => {
      const made = await service.post(
        '/machines',
        enrolment(2, {
          macs: ['52-54-00-AA-00-02'],
          bmc: { host: 'bmc-2.example.org', username: 'admin', password: bmcPassword },
        }),
      );
      assert.equal(made.json.machine.nics[0]?.mac, '52:54:00:aa:00:02');
      assert.equal(made.json.machine.bmc?.port, 623);
    });

    it('refuses what points at two machines, naming them', async () => {
      await service.post('/machines', enrolment(3));
      await service.post('/machines', enrolment(4));
      const mixed = { ...enrolment(3), macs: enrolment(4).macs };
      const what = assertRefused(await service.post('/machines', mixed), 409, 'machine.ambiguous');
      assert.match(what, /node-3/);
      assert.match(what, /node-4/);
      const twoMacs = enrolment(9, { macs: ['52:54:00:aa:00:03', '52:54:00:aa:00:04'] });
      assertRefused(await service.post('/machines', twoMacs), 409, 'machine.ambiguous');
      const taken = enrolment(9, { hostname: 'node-3' });
      assertRefused(await service.post('/machines', taken), 409, 'machine.ambiguous');
      assert.equal((await service.get('/machines/node-9')).status, 404);
    });

    const bad: readonly (readonly [string, unknown, string, RegExp])[] = [
      ['no body', undefined, 'request.invalid', /body/],
      ['an empty object', {}, 'request.invalid', /hostname.*macs.*bmc/s],
      ['no MAC', enrolment(20, { macs: [] }), 'request.invalid', /macs/],
      ['a misspelt MAC', enrolment(20, { macs: ['zz:54:00:aa:00:01'] }), 'value.mac', /zz:54/],
      [
        'a MAC twice',
        enrolment(20, { macs: ['52:54:00:aa:00:20', '52-54-00-AA-00-20'] }),
        'request.invalid',
        /twice/,
      ],
      ['a host name with a space', enrolment(20, { hostname: 'a b' }), 'request.invalid', /hostname/],
      ['a key that is none', enrolment(20, { rack: 7 }), 'request.invalid', /rack/],
      [
        'a password in a wrong place',
        enrolment(20, { bmc: { host: 'h', username: 'u', passwd: bmcPassword } }),
        'request.invalid',
        /bmc\.password/,
      ],
      [
        'a password that is no text',
        enrolment(20, { bmc: { host: 'h', username: 'u', password: [bmcPassword] } }),
        'request.invalid',
        /bmc\.password/,
      ],
      [
        'a password longer than IPMI carries',
        enrolment(20, { bmc: { host: 'h', username: 'u', password: bmcPassword.repeat(2) } }),
        'request.invalid',
        /20 bytes/,
      ],
      [
        'a port out of range',
        enrolment(20, { bmc: { host: 'h', port: 70_000, username: 'u', password: '' } }),
        'request.invalid',
        /bmc\.port/,
      ],
    ];
    for (const [name, body, code, text] of bad) {
      it(`refuses ${name}, and repeats no secret`, async () => {
        const answer = await service.call('POST', '/machines', { body });
        assert.match(assertRefused(answer, 400, code), text);
        assert.ok(!answer.text.includes(bmcPassword), answer.text);
      });
    }

    it('refuses what is not JSON, and what is not said to be', async () => {
      const raw = `{"bmc": {"password": "${bmcPassword}"`;
      const broken = await service.call('POST', '/machines', { raw });
      assert.match(assertRefused(broken, 400, 'request.invalid'), /not JSON/);
      assert.ok(!broken.text.includes(bmcPassword));
      const plain = await service.call('POST', '/machines', { raw, type: 'text/plain' });
      assertRefused(plain, 400, 'request.invalid');
      assert.ok(!plain.text.includes(bmcPassword));
    });

    it('refuses a body of a megabyte without reading it all', async () => {
      const answer = await service.post('/machines', enrolment(20, { hostname: 'x'.repeat(1024 * 1024) }));
      assert.match(assertRefused(answer, 400, 'request.invalid'), /too large/);
    });
  });

  describe('an enrolled machine', () => {
    it('is found by system id and by host name', async () => {
      const byName = await service.get('/machines/node-3');
      const byId = await service.get(`/machines/${byName.json.machine.id}`);
      assert.deepEqual(byId.json, byName.json);
    });

    it('answers 404 for what is not there', async () => {
      for (const [method, path] of [
        ['GET', '/machines/nobody'],
        ['DELETE', '/machines/nobody'],
        ['GET', '/machines/nobody/ports'],
        ['POST', '/machines/nobody/commission'],
        ['POST', '/machines/nobody/stop'],
        ['POST', '/machines/nobody/quarantine'],
        ['DELETE', '/machines/nobody/quarantine'],
        ['GET', '/operations?machine=nobody'],
      ] as const)
        assertRefused(
          await service.call(method, path, method === 'POST' ? { body: {} } : {}),
          404,
          'machine.unknown',
        );
      assertRefused(await service.get('/operations/nothing'), 404, 'request.not-found');
      assertRefused(await service.get('/operations/nothing/follow'), 404, 'request.not-found');
      assertRefused(await service.post('/operations/nothing/cancel'), 404, 'request.not-found');
      assertRefused(await service.post('/operations/nothing/retry'), 404, 'request.not-found');
      assertRefused(await service.get('/machine'), 404, 'request.not-found');
      assertRefused(await service.call('PATCH', '/machines/node-3', { body: {} }), 404, 'request.not-found');
    });

    it('a path that cannot be decoded is the caller’s mistake', async () => {
      assertRefused(await service.get('/machines/%ZZ'), 400, 'request.invalid');
    });

    it('is withheld and given free by a person, with the reason, over a restart', async () => {
      const withheld = await service.post('/machines/node-3/quarantine', { reason: 'fan is loud' });
      assert.equal(withheld.status, 200);
      assert.match(withheld.json.machine.quarantine?.reason ?? '', /admin: fan is loud/);
      assert.equal(withheld.json.machine.quarantine?.fenced, false);
      await service.stop();
      await service.start();
      const { quarantined } = (await service.get('/health')).json;
      assert.deepEqual(
        quarantined.map((one) => one.hostname),
        ['node-3'],
      );
      const lifted = await service.call('DELETE', '/machines/node-3/quarantine');
      assert.equal(lifted.json.machine.quarantine, null);
      assert.deepEqual((await service.get('/health')).json.quarantined, []);
    });

    it('has no ports before a rack config names its MACs', async () => {
      assert.deepEqual((await service.get('/machines/node-3/ports')).json, { wiring: [], ports: [] });
    });

    it('cannot be stopped or destroyed while nobody holds it', async () => {
      assertRefused(await service.post('/machines/node-3/stop'), 409, 'machine.state');
      assertRefused(await service.post('/machines/node-3/destroy'), 409, 'machine.state');
    });

    it('refuses a Start order that is misshapen, and an instance that claims to have run before', async () => {
      assertRefused(await service.post('/machines/node-3/start', { template: 'x' }), 400, 'request.invalid');
      const order = { externalId: 'cloud/i-2-7-VM', template: 'debian', nics: [] };
      const nic = { mac: '1', broadcastUri: 'vlan://1' };
      assertRefused(
        await service.post('/machines/node-3/start', { ...order, nics: [nic] }),
        400,
        'request.invalid',
      );
      assertRefused(
        await service.post('/machines/node-3/start', { ...order, firstDeployment: false }),
        409,
        'claim.unknown-instance',
      );
    });

    it('is forgotten when nobody holds it', async () => {
      await service.post('/machines', enrolment(30));
      assert.equal((await service.call('DELETE', '/machines/node-30')).status, 204);
      assertRefused(await service.get('/machines/node-30'), 404, 'machine.unknown');
    });

    it('is kept while somebody holds it', async () => {
      await service.post('/machines', enrolment(31));
      await service.offline(async (tx) => {
        const machine = await tx.machines.findByHostname('node-31');
        await tx.claims.insert({
          machineId: machine!.id,
          holder: 'instance',
          externalId: 'cloud/i-2-77-VM',
          owner: 'account-7',
          instanceUuid: null,
          since: 1_700_000_000_000,
          version: 1,
        });
      });
      const what = assertRefused(
        await service.call('DELETE', '/machines/node-31'),
        409,
        'claim.machine-taken',
      );
      assert.match(what, /i-2-77-VM/);
      const { claim } = (await service.get('/machines/node-31')).json.machine;
      assert.deepEqual(claim, {
        holder: 'instance',
        externalId: 'cloud/i-2-77-VM',
        owner: 'account-7',
        since: 1_700_000_000_000,
      });
    });

    it('nothing that was said or logged has the BMC’s password in it', async () => {
      const seen = await Promise.all(
        ['/machines', '/machines/node-3', '/operations', '/alarms', '/health'].map((path) =>
          service.get(path),
        ),
      );
      for (const { status, text } of seen) {
        assert.equal(status, 200);
        assert.ok(!text.includes(bmcPassword));
      }
      assert.ok(!service.log.includes(bmcPassword));
    });
  });
});
