import assert from 'node:assert/strict';
import { LabBmc } from '../../lab/bmc/lab-bmc.ts';
import { StandaloneHost } from '../../lab/bmc/standalone-host.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { AdminService, bmcPassword, enrolment } from '../api/admin/admin-service.ts';
import { sampleLog, sampleSensors } from '../drivers/power/event-log-samples.ts';
import { until } from '../support/until.ts';
import { csbm, type Ended } from './run-csbm.ts';

describe("csbm power: a machine's BMC through the service", () => {
  const service = new AdminService();
  const host = new StandaloneHost({ clock: new SystemClock() });
  const bmc = new LabBmc({
    host,
    traits: {
      users: [{ name: 'admin', password: bmcPassword, level: 3 }],
      eventLog: sampleLog,
      sensors: sampleSensors,
    },
  });

  before(async () => {
    await service.start();
    const { port } = await bmc.listen();
    const at = { host: '127.0.0.1', port, username: 'admin', password: bmcPassword };
    await service.post('/machines', enrolment(1, { bmc: at }));
    await service.post('/machines', enrolment(2, { bmc: { ...at, port: 1, password: 'x' } }));
  });
  after(async () => {
    await service.dispose();
    await bmc.close();
  });

  const run = (...args: string[]): Promise<Ended> =>
    csbm(['power', ...args], { env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile } });

  it('shows the power that was read in the background, and why it could not be', async () => {
    await until(async () => (await run('show', 'node-1')).out.startsWith('power is off, read at '));
    assert.match((await run('show', 'node-1')).out, /\nthe BMC is read at every interval\n$/);
    host.control('on', { device: 'none', efi: false });
    await until(async () => (await run('show', 'node-1')).out.startsWith('power is on'));
    // Nobody commanded it: the record follows all the same.
    assert.equal((await service.get('/machines/node-1')).json.machine.power?.state, 'on');
    await until(async () => (await run('show', 'node-2')).out.includes('last failure'));
    assert.match((await run('show', 'node-2')).out, /^power is unknown\n[\s\S]*power\.unreachable/);
    const { observed } = JSON.parse((await run('show', 'node-1', '--json')).out) as {
      observed: { state: string };
    };
    assert.equal(observed.state, 'on');
  });

  it('shows sensors', async () => {
    const { out, code } = await run('sensors', 'node-1');
    assert.equal(code, 0);
    assert.match(out, /^CPU1 Temp +Temperature +-10 °C +-$/m);
    assert.match(out, /^PS1 Status +Power Supply +- +present, input lost \(AC\/DC\)$/m);
    const { sensors } = JSON.parse((await run('sensors', 'node-1', '--json')).out) as { sensors: object[] };
    assert.equal(sensors.length, 4);
  });

  it('shows and erases the event log', async () => {
    const { out } = await run('sel', 'node-1');
    assert.match(out, /^1 +2026-05-01 00:00:00Z +Fan +48 +lower critical, going low +asserted$/m);
    assert.match(out, /^7 +clock not set +type C1h /m);
    const cleared = await run('sel', 'node-1', '--clear', '--reason', 'full');
    assert.deepEqual(cleared, { code: 0, out: 'the event log is erased\n', err: '' });
    assert.equal((await run('sel', 'node-1')).out, 'none\n');
  });

  it('says why a BMC tells nothing', async () => {
    const { code, err } = await run('sel', 'node-2');
    assert.equal(code, 1);
    assert.match(err, /power\.unreachable/);
  });
});
