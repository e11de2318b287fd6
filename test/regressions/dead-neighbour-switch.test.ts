import assert from 'node:assert/strict';
import type { Stage } from '../../lab/demo/stage.ts';
import { destroyCommand, startCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

// One switch that did not answer stopped every Start and every Destroy of its fabric, also of machines that have no port there.
describe('a switch of the fabric that does not answer, and has no port of the machine', function () {
  this.timeout(60_000);
  let stage: Stage;
  let close: () => Promise<void>;

  afterEach(async () => {
    const { violations } = stage.floor.oracle;
    await close();
    assert.deepEqual(violations, []);
  });

  const hang = (name: string): void => {
    const device = stage.floor.switches.find((one) => one.name === name)!;
    device.behaviours.on(/./, { do: 'disconnect', when: 'before' }, { times: Infinity });
  };
  async function start(name: string, instance = stage.instance(`i-6-${name}-VM`)) {
    const [answer] = await stage.cloud.send(await stage.host(name), [startCommand(instance)]);
    return { instance, answer: answer! };
  }

  it('stops nobody where it is a leaf: one uplink leads to no other switch', async () => {
    ({ stage, close } = await localStage({ floor: { switches: 3 } }));
    hang('tor-3');
    const { instance, answer } = await start('server-1');
    assert.equal(answer.result, true, answer.details ?? '');
    await until(() => stage.floor.table()[0]!.leases.length > 0, 'the lease');
    const [destroyed] = await stage.cloud.send(await stage.host('server-1'), [destroyCommand(instance)]);
    assert.equal(destroyed!.result, true, destroyed!.details ?? '');
  });

  it('stops only a Start that needs a VLAN which it, perhaps on the way, is not known to carry', async () => {
    ({ stage, close } = await localStage({ machines: 3, floor: { switches: 3, nicsPerMachine: 1 } }));
    const first = await start('server-1');
    assert.equal(first.answer.result, true, first.answer.details ?? '');
    hang('tor-2');
    const second = await start('server-2');
    assert.equal(second.answer.result, true, second.answer.details ?? '');
    const other = await start('server-3', stage.instance('i-6-3-VM', [300]));
    assert.equal(other.answer.result, false);
    assert.match(other.answer.details ?? '', /tor-2/);
    const [destroyed] = await stage.cloud.send(await stage.host('server-1'), [
      destroyCommand(first.instance),
    ]);
    assert.equal(destroyed!.result, true, destroyed!.details ?? '');
  });
});
