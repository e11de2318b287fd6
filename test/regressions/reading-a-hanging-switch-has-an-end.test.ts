import assert from 'node:assert/strict';
import { startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

type Json = Readonly<Record<string, unknown>>;

// A Start of a known instance reads its ports first. While a switch hung in the middle of somebody's batch, that reading waited
// for the session's own end, minutes later, beyond the Start's deadline. Found by `make chaos`.
describe('a switch that hangs while another command needs to read it', function () {
  this.timeout(180_000);

  it('is waited for no longer than the Start has time', async () => {
    const { stage, close } = await localStage({ timings: { switchBatch: '4m' } });
    const tor = stage.floor.switches[1]!;
    try {
      const host = await stage.host('server-1');
      const instance = stage.instance('i-7-1-VM');
      const again = startCommand({ ...instance, doPxe: false });
      const [first] = await stage.cloud.send(host, [startCommand(instance)]);
      assert.equal(first!.result, true, first!.details ?? '');
      await until(() => stage.floor.table()[0]!.leases.length > 0, 'the lease');

      const hang = tor.behaviours.on(/^show vlan/, { do: 'hang', when: 'before' });
      // The switch's own patience with a command is a minute.
      const [answer] = await stage.cloud.send(host, [again], { wait: 8, timeout: 40_000 });
      assert.equal(hang.fired, 1);
      assert.equal(answer!.result, false);
      assert.match(answer!.details ?? '', /switch\.timeout|operation\.deadline/);

      tor.dropSessions();
      await until(async () => {
        const { operations } = (await stage.admin.call('GET', '/operations?active=1')) as {
          operations: Json[];
        };
        return operations.length === 0;
      });
      const [last] = await stage.cloud.send(host, [again]);
      assert.equal(last!.result, true, last!.details ?? '');
    } finally {
      tor.dropSessions();
      await close();
    }
  });
});
