import assert from 'node:assert/strict';
import { Deferred } from '../../src/kernel/concurrency/deferred.ts';
import { at, SwitchScene, te, type WillingSwitch } from '../operations/ports/switch-scene.ts';

/**
 * A session that broke, or a process that died, between a change and its save: the next attempt read everything as wanted, had
 * nothing to send, and so nothing to save. A switch that restarted later came up with the ports as they were before.
 */
describe('regression: a change that was cut off before it was saved', () => {
  let scene: SwitchScene;
  let device: WillingSwitch;

  beforeEach(async () => {
    scene = await SwitchScene.open();
    device = scene.device;
  });
  afterEach(() => scene.close());

  const settle = async (n: number): Promise<unknown> => (await scene.ask(n)).settled;
  const unsavedSince = async (): Promise<number | null> =>
    (await scene.storage.run((tx) => tx.racks.findSwitch(at.name)))!.unsavedSince;

  for (const restarted of [false, true]) {
    const who = restarted ? 'by the next process' : 'by the next attempt';
    it(`is saved ${who}, though nothing is left to change`, async () => {
      device.breaksAfterChange = true;
      await assert.rejects(settle(1), /the session broke/);
      assert.deepEqual(device.saved, []);
      if (restarted) await scene.restart();
      await settle(1);
      assert.equal(device.batches.length, 1);
      assert.deepEqual(device.saved, [te(1)]);
      assert.equal(await unsavedSince(), null);
    });

    it(`is saved ${who} also where it was a repair of what was wanted before`, async () => {
      await settle(1);
      device.lose(te(1));
      device.saved = [];
      device.breaksAfterChange = true;
      await assert.rejects(settle(1), /the session broke/);
      assert.notEqual(await unsavedSince(), null);
      if (restarted) await scene.restart();
      await settle(1);
      assert.equal(device.batches.length, 2);
      assert.deepEqual(device.saved, [te(1)]);
      assert.equal(await unsavedSince(), null);
    });
  }

  it('is saved with the next change of another port', async () => {
    device.breaksAfterChange = true;
    await assert.rejects(settle(1), /the session broke/);
    await settle(2);
    assert.deepEqual(device.saved, [te(1), te(2)]);
  });

  it('is saved where another port of its batch is not as wanted', async () => {
    device.stubborn = te(2);
    const door = new Deferred<void>();
    device.door = door.promise;
    const [first, second] = [await scene.ask(1), await scene.ask(2)];
    const over = Promise.allSettled([first.settled, second.settled]);
    await scene.quiet();
    door.resolve();
    assert.deepEqual(device.batches, []);
    await over;
    assert.deepEqual(device.batches[0], [te(1), te(2)]);
    await assert.rejects(second.settled, /1\/2/);
    assert.deepEqual(device.saved, [te(1)]);
  });

  it('that is saved is not saved again while nothing changes', async () => {
    await settle(1);
    const { saves } = device;
    await settle(1);
    await scene.restart();
    await settle(1);
    assert.equal(device.saves, saves);
  });
});
