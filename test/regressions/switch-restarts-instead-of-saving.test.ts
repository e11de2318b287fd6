import assert from 'node:assert/strict';
import { startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';

// A switch that restarted when it was told to save had lost what was read back just before. The Start was called done, on one of its two
// ports.
it('a switch that restarts instead of saving is brought back to what was read before', async function () {
  this.timeout(40_000);
  const { stage, close } = await localStage();
  try {
    const host = await stage.host('server-1');
    const second = stage.floor.switches[1]!;
    const rule = second.behaviours.on(/^write memory/, { do: 'reload', when: 'before' });
    const [answer] = await stage.cloud.send(host, [startCommand(stage.instance('i-1-1-VM'))]);
    assert.equal(answer!.result, true, answer!.details ?? '');
    assert.equal(rule.fired, 1);
    assert.deepEqual(
      stage.floor.table()[0]!.ports.map(({ native, up }) => [native, up]),
      [
        [200, true],
        [200, true],
      ],
    );
    assert.ok(second.model.saved);
  } finally {
    await close();
  }
});
