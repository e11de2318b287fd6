import assert from 'node:assert/strict';
import { plugNicCommand, startCommand, stopCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';

// A NIC with a MAC that the instance had already was plugged; the next Start, which takes no MAC twice, was refused ever after.
it('a MAC that the instance has already is not plugged, and the instance starts again', async function () {
  this.timeout(40_000);
  const { stage, close } = await localStage();
  try {
    const host = await stage.host('server-1');
    const instance = stage.instance('i-1-1-VM');
    const send = async (command: Parameters<typeof stage.cloud.send>[1][number]) =>
      (await stage.cloud.send(host, [command], { timeout: 30_000 }))[0]!;
    assert.equal((await send(startCommand(instance))).result, true);
    const twin = { mac: instance.nics![0]!.mac, broadcastUri: 'vlan://777' };
    const plugged = await send(plugNicCommand(instance.name, twin));
    assert.equal(plugged.result, false);
    assert.match(plugged.details ?? '', new RegExp(`another NIC of the instance has the MAC ${twin.mac}`));
    await send(stopCommand({ name: instance.name, force: true }));
    const again = await send(startCommand({ ...instance, doPxe: false }));
    assert.equal(again.result, true, again.details ?? '');
  } finally {
    await close();
  }
});
