import assert from 'node:assert/strict';
import { destroyCommand, startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

// A Destroy, and with it its erase, died at the deadline that is meant for the caller's answer: 17 minutes with the defaults.
it('an erase that outlasts the caller is answered and goes on to its end', async function () {
  this.timeout(60_000);
  // The caller's patience is one second at this speed; the erase of a slow machine takes seconds.
  const { stage, close } = await localStage({
    timings: { destroyDeadline: '40s', undoBudget: '30s', startDeadline: '1h', stopDeadline: '1h' },
  });
  try {
    const host = await stage.host('server-1');
    const instance = stage.instance('i-1-1-VM');
    const [started] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(started!.result, true, started!.details ?? '');
    stage.floor.machines[0]!.machine.behaviours.add({ kind: 'slow', factor: 5 });
    const [answer] = await stage.cloud.send(host, [destroyCommand(instance)]);
    assert.equal(answer!.result, true, answer!.details ?? '');
    const { operation } = (await stage.admin.call('GET', '/machines/server-1'))['machine'] as {
      operation: { id: string; kind: string } | null;
    };
    assert.equal(operation?.kind, 'destroy', 'the erase goes on after the answer');
    const ended = await stage.admin.follow(operation.id);
    assert.equal(ended['state'], 'done', JSON.stringify(ended['error']));
    await until(() =>
      stage.floor.table()[0]!.disks.every((disk) => disk.image === null && disk.residue === null),
    );
  } finally {
    await close();
  }
});
