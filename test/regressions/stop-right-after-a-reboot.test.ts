import assert from 'node:assert/strict';
import { rebootCommand, startCommand, stopCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

// A Stop right after a Reboot met the off phase of the power cycle, was answered "off", and the machine came on again.
it('a machine that was stopped right after a reboot stays off', async function () {
  this.timeout(40_000);
  const { stage, close } = await localStage();
  try {
    const host = await stage.host('server-1');
    const instance = stage.instance('i-1-1-VM');
    await stage.cloud.send(host, [startCommand(instance)]);
    await until(() => stage.floor.table()[0]!.leases.length > 0, 'the lease');
    const [rebooted] = await stage.cloud.send(host, [rebootCommand(instance.name)]);
    assert.equal(rebooted!.result, true, rebooted!.details ?? '');
    const [stopped] = await stage.cloud.send(host, [stopCommand({ name: instance.name, force: true })]);
    assert.equal(stopped!.result, true, stopped!.details ?? '');
    const pings = stage.cloud.pings(host).length;
    await until(() => stage.cloud.pings(host).length >= pings + 2, 'two pings');
    assert.equal(stage.floor.table()[0]!.power, 'off');
    const { log } = stage.floor.machines[0]!.bmc;
    assert.equal(log.filter((entry) => entry.action === 'cycle').length, 1);
  } finally {
    await close();
  }
});
