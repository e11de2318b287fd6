import assert from 'node:assert/strict';
import { destroyCommand, startCommand, stopCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

// CloudStack cleans up after a failed Start with Stop or Destroy; these met the automatic erase and were refused, although
// nothing of the instance was there any more.
it('Stop and Destroy of an instance whose Start failed succeed while its leavings are erased', async function () {
  this.timeout(60_000);
  const { stage, close } = await localStage();
  try {
    const host = await stage.host('server-1');
    const instance = stage.instance('i-1-1-VM');
    stage.floor.machines[0]!.machine.behaviours.add({ kind: 'corrupts-image' }, 1);
    const [started] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(started!.result, false);
    stage.floor.machines[0]!.machine.behaviours.add({ kind: 'slow', factor: 3 });
    await until(async () => {
      const { machine } = (await stage.admin.call('GET', '/machines/server-1')) as {
        machine: { operation: { kind: string } | null };
      };
      return machine.operation?.kind === 'erase';
    }, 'the erase to begin');
    const [stopped] = await stage.cloud.send(host, [stopCommand({ name: instance.name })]);
    assert.equal(stopped!.result, true, stopped!.details ?? '');
    const [destroyed] = await stage.cloud.send(host, [destroyCommand(instance)]);
    assert.equal(destroyed!.result, true, destroyed!.details ?? '');
  } finally {
    await close();
  }
});
