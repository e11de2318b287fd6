import assert from 'node:assert/strict';
import { startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

// The domain change of an undo was not written: the deployment of a failed Start stayed open, and every later Start on the
// machine met it as a conflict.
it('a Start after one that failed half way succeeds', async function () {
  this.timeout(40_000);
  const { stage, close } = await localStage();
  try {
    const host = await stage.host('server-1');
    const rule = stage.floor.switches[1]!.behaviours.on(/untagged TenGigabitEthernet 1\/1/, {
      do: 'refuse',
      text: '% Error: no room.',
    });
    const [first] = await stage.cloud.send(host, [startCommand(stage.instance('i-1-1-VM'))]);
    assert.equal(first!.result, false);
    rule.cancel();
    await until(
      async () =>
        ((await stage.admin.call('GET', '/machines/server-1'))['machine'] as { state: string }).state ===
        'ready',
    );
    const [second] = await stage.cloud.send(host, [startCommand(stage.instance('i-1-2-VM'))]);
    assert.equal(second!.result, true, second!.details ?? '');
  } finally {
    await close();
  }
});
