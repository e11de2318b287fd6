import assert from 'node:assert/strict';
import { startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

/** Somebody pulls the cord: no command of CloudStack's, so it must be told. */
it('a machine that loses its power is reported at once, not with the next ping', async function () {
  this.timeout(60_000);
  // So seldom that no ordinary ping comes while the test runs.
  const { stage, close } = await localStage({ pingInterval: 3_600 });
  try {
    const host = await stage.host('server-1');
    const instance = stage.instance('i-8-1-VM');
    const [answer] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(answer!.result, true, answer!.details ?? '');
    await until(() => stage.floor.table()[0]!.leases.length > 0, 'the lease');
    const power = async (): Promise<unknown> => {
      const { machine } = await stage.admin.call('GET', '/machines/server-1');
      return (machine as { readonly power: { readonly state: string } | null }).power?.state;
    };
    await until(async () => (await power()) === 'on', 'the power to be seen on');
    stage.floor.machines[0]!.machine.losePower();
    const told = (): boolean =>
      stage.cloud
        .pings(host)
        .some(({ outOfBand, report }) => outOfBand && report?.get(instance.name) === 'PowerOff');
    await until(told, 'an out-of-band report');
  } finally {
    await close();
  }
});
