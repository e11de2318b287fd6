import assert from 'node:assert/strict';
import { startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';

// A plan of a Destroy with grade none listed the erase, and no plan showed that the tenant's VLAN goes from the uplinks when
// the machine is on two switches.
it('a plan of a Destroy names the retired VLAN on both switches, and no erase when none is asked for', async function () {
  this.timeout(40_000);
  const { stage, close } = await localStage();
  try {
    const host = await stage.host('server-1');
    const [started] = await stage.cloud.send(host, [startCommand(stage.instance('i-1-1-VM'))]);
    assert.equal(started!.result, true, started!.details ?? '');
    const { plan } = (await stage.admin.call('POST', '/machines/server-1/destroy?plan=1', {
      grade: 'none',
    })) as { plan: { step: string; lines: string[] }[] };
    assert.deepEqual(
      plan.filter((section) => section.step.startsWith('erase.')),
      [],
    );
    const lines = plan.find((section) => section.step === 'ports.clear')!.lines.join('\n');
    for (const device of stage.floor.switches)
      assert.match(lines, new RegExp(`${device.name}> .*no interface vlan 200`, 'i'));
  } finally {
    await close();
  }
});
