import assert from 'node:assert/strict';
import { startCommand, stopCommand, type LabCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';

const cleanUp = (name: string): LabCommand => {
  const plain = stopCommand({ name });
  return { ...plain, fields: { ...plain.fields, checkBeforeCleanup: true } };
};

// After a report of "off" CloudStack cleans up by a StopCommand with checkBeforeCleanup, which must leave an instance alone that is on
// again by then: a tenant's machine that had been off for a moment was switched off for good.
it('a StopCommand that only cleans up leaves a running instance alone', async function () {
  this.timeout(40_000);
  const { stage, close } = await localStage();
  try {
    const host = await stage.host('server-1');
    const instance = stage.instance('i-1-1-VM');
    await stage.cloud.send(host, [startCommand(instance)]);
    const [refused] = await stage.cloud.send(host, [cleanUp(instance.name)]);
    assert.equal(refused!.className, 'com.cloud.agent.api.StopAnswer');
    assert.equal(refused!.result, false);
    assert.match(refused!.details ?? '', /is running/);
    assert.equal(stage.floor.table()[0]!.power, 'on');

    const [stopped] = await stage.cloud.send(host, [stopCommand({ name: instance.name, force: true })]);
    assert.equal(stopped!.result, true, stopped!.details ?? '');
    for (const name of [instance.name, 'i-9-9-VM']) {
      const [cleaned] = await stage.cloud.send(host, [cleanUp(name)]);
      assert.equal(cleaned!.result, true, cleaned!.details ?? '');
    }
  } finally {
    await close();
  }
});
