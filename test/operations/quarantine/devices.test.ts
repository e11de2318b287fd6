import assert from 'node:assert/strict';
import type { Stage } from '../../../lab/demo/stage.ts';
import { startCommand } from '../../../lab/management-server/commands.ts';
import type { HealthView, QuarantineView } from '../../../src/cli/admin/api-types.ts';
import { localStage } from '../../support/local-stage.ts';
import { until } from '../../support/until.ts';

/** Forty times faster than life, on a floor of real sockets. */
describe('devices in quarantine', function () {
  this.timeout(120_000);
  let stage: Stage;
  let close: () => Promise<void>;

  before(async () => {
    const quarantine = {
      ...{ switchFailures: 2, switchDead: '4s', portFailures: 3 },
      ...{ checkInterval: '6s', longestPause: '20s' },
    };
    ({ stage, close } = await localStage({ machines: 2, pingInterval: 3_600, sections: { quarantine } }));
  });
  after(() => close());

  const of = async (kind: string, name: string): Promise<readonly QuarantineView[]> => {
    const { quarantines } = await stage.admin.call('GET', `/quarantines/${kind}/${encodeURIComponent(name)}`);
    return quarantines as readonly QuarantineView[];
  };
  const isWithheld = async (kind: string, name: string): Promise<boolean> =>
    (await of(kind, name)).some(({ since }) => since !== null);
  const withheldBy = async (name: string): Promise<string | null> => {
    const { machine } = await stage.admin.call('GET', `/machines/${name}`);
    return (machine as { readonly withheld: { readonly kind: string } | null }).withheld?.kind ?? null;
  };
  const plug = async (verb: 'plug-nic' | 'unplug-nic'): Promise<unknown> => {
    const body = { mac: '06:00:ac:10:0f:0f', broadcastUri: 'vlan://300' };
    const { operation } = await stage.admin.call('POST', `/machines/server-1/${verb}`, body);
    return (await stage.admin.follow((operation as { readonly id: string }).id))['state'];
  };

  it('a BMC with another password withholds its machine until a reading passes', async () => {
    const host = await stage.host('server-1');
    const { bmc, machine, bmcAddress } = stage.floor.find('server-1');
    const newPassword = 'changed at the BMC';
    bmc.remake({ users: [{ name: stage.floor.username, password: newPassword, level: 4 }] });
    bmc.dropSessions();
    await until(() => isWithheld('bmc', 'server-1'), 'the BMC to be in quarantine');

    const instance = stage.instance('i-9-1-VM');
    const [refused] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(refused!.result, false);
    assert.match(refused!.details ?? '', /its BMC is in quarantine.*machine\.quarantined/s);
    assert.doesNotMatch(JSON.stringify(refused), /stopRetry/, 'another host may do');
    assert.equal(await withheldBy('server-1'), 'bmc');
    assert.equal(machine.power(), 'off');

    await stage.admin.call('POST', '/machines', {
      hostname: 'server-1',
      macs: machine.nics.map((nic) => nic.mac),
      bmc: { ...bmcAddress, username: stage.floor.username, password: newPassword },
    });
    await until(async () => !(await isWithheld('bmc', 'server-1')), 'the quarantine to be lifted');
    const [record] = await of('bmc', 'server-1');
    assert.equal(record!.code, 'power.auth');
    assert.equal(record!.count, 1);
    assert.equal(record!.liftedBy, 'csbm');
    const [answer] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(answer!.result, true, answer!.details ?? '');
  });

  it('a switch that does not save withholds the machines on it until it does', async () => {
    const host = await stage.host('server-2');
    const tor = stage.floor.switches[1]!;
    const full = tor.behaviours.on(/^write memory/, { do: 'fail-save' }, { times: Infinity });
    assert.equal(await plug('plug-nic'), 'done', 'what is not saved is an alarm, not a failure');
    await until(() => isWithheld('switch', tor.name), 'the switch to be in quarantine');
    assert.equal(await withheldBy('server-2'), 'switch');
    const instance = stage.instance('i-9-2-VM');
    const [refused] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.match(refused!.details ?? '', new RegExp(`its switch ${tor.name} is in quarantine`));
    const health = (await stage.admin.call('GET', '/health')) as unknown as HealthView;
    assert.deepEqual(
      health.quarantinedDevices.map(({ kind, label, code }) => [kind, label, code]),
      [['switch', tor.name, 'switch.unsaved']],
    );
    assert.equal(await plug('unplug-nic'), 'done', 'who is there already is still served');
    full.cancel();
    await until(async () => !(await isWithheld('switch', tor.name)), 'the quarantine to be lifted');
    assert.equal(await withheldBy('server-2'), null);
  });

  it('a switch that breaks every session is withheld until it was read as a whole', async () => {
    const tor = stage.floor.switches[0]!;
    const broken = tor.behaviours.on(/./, { do: 'disconnect', when: 'before' }, { times: Infinity });
    assert.equal(await plug('plug-nic'), 'failed');
    await until(() => isWithheld('switch', tor.name), 'the switch to be in quarantine');
    broken.cancel();
    await until(async () => !(await isWithheld('switch', tor.name)), 'the quarantine to be lifted');
    const [record] = await of('switch', tor.name);
    assert.deepEqual([record!.count, record!.by, record!.liftedBy], [1, 'csbm', 'csbm']);
  });

  it('a port that takes no change is withheld, and free when it is as desired', async () => {
    const [tor] = stage.floor.switches;
    const deaf = tor!.behaviours.on(/^tagged TenGig/, { do: 'refuse', text: '' }, { times: Infinity });
    assert.equal(await plug('plug-nic'), 'failed');
    const ports = (await stage.admin.call('GET', '/machines/server-1/ports')) as {
      readonly wiring: readonly { readonly switch: string; readonly port: string }[];
    };
    const port = ports.wiring.find((wire) => wire.switch === tor!.name)!.port;
    const short = port.replace('TenGigabitEthernet ', 'te');
    await until(() => isWithheld('port', `${tor!.name} ${short}`), 'the port to be in quarantine');
    assert.equal(await withheldBy('server-1'), 'port');
    assert.equal(await withheldBy('server-2'), null, 'the neighbours are not concerned');
    deaf.cancel();
    await until(async () => !(await isWithheld('port', `${tor!.name} ${port}`)), 'it to be lifted');
  });
});
