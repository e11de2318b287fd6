import assert from 'node:assert/strict';
import { destroyCommand, startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

// A StartCommand and the Destroy of the same instance right behind it, on one link: the Destroy needed fewer looks at the
// database, found nothing to destroy, was answered yes, and the Start went on: an instance that nobody knew any more kept its
// machine. Found by `make chaos`.
describe('a Destroy that comes right behind the Start of its instance', function () {
  this.timeout(180_000);

  it('finds that Start, and ends it', async () => {
    const { stage, close } = await localStage();
    try {
      const host = await stage.host('server-1');
      const instance = stage.instance('i-7-2-VM');
      const start = stage.cloud.send(host, [startCommand(instance)]);
      const [destroyed] = await stage.cloud.send(host, [destroyCommand(instance)]);
      const [started] = await start;
      assert.equal(destroyed!.result, true, destroyed!.details ?? '');
      assert.equal(started!.result, false);
      assert.match(started!.details ?? '', /operation\.cancelled/);
      await until(async () => {
        const { machine } = await stage.admin.call('GET', '/machines/server-1');
        return (machine as { readonly state: string }).state === 'ready';
      }, 'the machine ready again');
      assert.equal(stage.floor.table()[0]!.power, 'off');
      assert.deepEqual(stage.floor.violations, []);
    } finally {
      await close();
    }
  });
});
