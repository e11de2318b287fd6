import assert from 'node:assert/strict';
import { MaasApi } from '../../src/drivers/deploy/maas/maas-api.ts';
import { MaasClient } from '../../src/drivers/deploy/maas/maas-client.ts';
import { status } from '../../src/drivers/deploy/maas/maas-shapes.ts';
import { engineFor, eraseOrder, hw1, quickSettings } from '../drivers/deploy/maas/engine-fixture.ts';
import { ScriptedMaas, username } from '../drivers/deploy/maas/scripted-maas.ts';

describe('an erase by an upstream MAAS', () => {
  let maas: ScriptedMaas;
  beforeEach(async () => {
    maas = await ScriptedMaas.start();
  });
  afterEach(() => maas.stop());

  // Somebody aborted the erase in MAAS, and released the machine without one, while nobody here looked. It was Ready, and the erase had been
  // seen: the disks counted as clean, with the last tenant's data on them.
  it('that somebody broke off there is no evidence, though the machine is Ready', async () => {
    const { engine, clock } = engineFor(maas.url);
    const machine = maas.add({ status: status.deployed, owner: username });
    await engine.begin(eraseOrder({ id: 'op-2:erase' }));
    assert.equal((await engine.progress('op-2:erase'))?.state, 'running');
    const somebody = new MaasApi(new MaasClient(quickSettings(maas.url), clock));
    await somebody.abort(machine.system_id);
    await somebody.release(machine.system_id, []);
    assert.equal(machine.status, status.ready);
    clock.shift += 1_000;
    const over = await engine.progress('op-2:erase');
    assert.equal(over?.state, 'failed');
    assert.equal(over.error?.code, 'deploy.erase-unproven');
    // What was broken off before is not this erase's.
    await engine.begin(eraseOrder());
    maas.released(machine);
    clock.shift += 1_000;
    assert.equal((await engine.progress('op-3:erase'))?.state, 'done');
  });

  // An answer about another machine, from a cache in between say, was taken for one about the machine that was asked for.
  it('never takes another machine for the one that it asked for', async () => {
    const { engine, clock } = engineFor(maas.url);
    const machine = maas.add({ status: status.deployed, owner: username });
    const other = maas.add({ macs: ['52:54:00:99:99:99'], status: status.deployed, owner: username });
    maas.mistaken = other;
    await assert.rejects(engine.begin(eraseOrder()), /maas\.machine-lost/);
    assert.equal(other.status, status.deployed);
    maas.mistaken = null;
    await engine.begin(eraseOrder());
    assert.equal(machine.status, status.diskErasing);
    other.status = status.ready;
    maas.mistaken = other;
    clock.shift += 1_000;
    await assert.rejects(async () => engine.progress('op-3:erase'), /maas\.answer/);
    assert.ok(machine.interface_set.some(({ mac_address: mac }) => mac === hw1));
  });
});
