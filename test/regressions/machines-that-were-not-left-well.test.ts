import assert from 'node:assert/strict';
import type { FloorMachine } from '../../lab/floor/index.ts';
import { destroyCommand, startCommand, stopCommand } from '../../lab/management-server/commands.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

interface Now {
  readonly state: string;
  readonly claim: unknown;
  readonly quarantine: { readonly fenced: boolean } | null;
}

describe('a machine that its tenant did not leave well', function () {
  this.timeout(90_000);
  let on: Awaited<ReturnType<typeof localStage>>;
  let server: FloorMachine;
  let host: bigint;

  before(async () => {
    on = await localStage({ machines: 2, timings: { bootSeen: '60s', undoBudget: '60s' } });
    server = on.stage.floor.find('server-1');
    host = await on.stage.host('server-1');
  });
  after(() => on.close());

  const now = async (): Promise<Now> =>
    (await on.stage.admin.call('GET', '/machines/server-1'))['machine'] as Now;
  const erase = (): Promise<unknown> => on.stage.admin.operation('POST', '/machines/server-1/erase', {});

  // It was left as it was when the Destroy gave up waiting: on, in the provisioning network, for ever, with the system that was to be erased
  // running. Its erase order stayed open too: whoever asked with its MAC later got it, and the machine could not be enrolled anew.
  it('and that does not boot the ramdisk is switched off in the end, and nothing is handed out for it', async () => {
    const instance = on.stage.instance('i-1-1-VM');
    const [started] = await on.stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(started!.result, true, started!.details ?? '');
    await until(() => server.machine.phase === 'os', 'the system of the tenant');
    server.machine.behaviours.add({ kind: 'wrong-device' });
    const [destroyed] = await on.stage.cloud.send(host, [destroyCommand(instance)], { timeout: 40_000 });
    assert.match(destroyed!.details ?? '', /deploy\.never-booted/);
    assert.equal(server.machine.power(), 'off');
    const { mac } = server.machine.nics[0]!;
    const asked = await fetch(`${on.stage.service.bootUrl}/boot/v1/script?mac=${mac}&platform=efi`);
    assert.doesNotMatch(await asked.text(), /csbm\.token/);
    server.machine.behaviours.clear();
    await erase();
    assert.equal((await now()).state, 'ready');
  });

  // A Destroy that failed before the tenant was gone left the machine failed, with its instance on it. A Start of that instance switched
  // it on, and could never end: "deployed" might not follow "failed".
  it('can have its instance started again', async () => {
    const instance = on.stage.instance('i-1-2-VM');
    const [started] = await on.stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(started!.result, true, started!.details ?? '');
    server.bmc.behave({ dead: true });
    const { switches } = on.stage.floor;
    for (const { behaviours } of switches)
      behaviours.on(/shutdown/, { do: 'refuse', text: '% Error: no room.' }, { times: Infinity });
    const [destroyed] = await on.stage.cloud.send(host, [destroyCommand(instance)], { timeout: 50_000 });
    assert.equal(destroyed!.result, false);
    assert.equal((await now()).state, 'failed');
    server.bmc.heal();
    for (const { behaviours } of switches) behaviours.clear();
    const [again] = await on.stage.cloud.send(host, [startCommand(instance)], { timeout: 20_000 });
    assert.equal(again!.result, true, again!.details ?? '');
    assert.equal((await now()).state, 'deployed');
    const [gone] = await on.stage.cloud.send(host, [destroyCommand(instance)], { timeout: 30_000 });
    assert.equal(gone!.result, true, gone!.details ?? '');
  });

  // Its instance started elsewhere, it stayed "deployed" with nobody on it: it could be neither erased nor destroyed, and a commissioning of
  // it never ended. And the claim went also for a Start that was refused in the next moment.
  it('and is fenced loses its instance only to a first deployment, and can be erased then', async () => {
    const second = await on.stage.host('server-2');
    const instance = on.stage.instance('i-1-3-VM');
    const [started] = await on.stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(started!.result, true, started!.details ?? '');
    await on.stage.cloud.send(host, [stopCommand({ name: instance.name, force: true })]);
    const off = server.machine.events.on('phase', ({ phase }) => {
      if (phase === 'firmware') server.bmc.behave({ dead: true });
    });
    const [again] = await on.stage.cloud.send(host, [startCommand(instance)], { timeout: 40_000 });
    off();
    assert.equal(again!.result, false);
    assert.equal((await now()).quarantine?.fenced, true);
    const [unknown] = await on.stage.cloud.send(second, [startCommand({ ...instance, doPxe: false })]);
    assert.equal(unknown!.result, false);
    assert.notEqual((await now()).claim, null);
    const [moved] = await on.stage.cloud.send(second, [startCommand(instance)], { timeout: 40_000 });
    assert.equal(moved!.result, true, moved!.details ?? '');
    assert.equal((await now()).claim, null);
    server.bmc.heal();
    await erase();
    assert.equal((await now()).state, 'ready');
  });
});
