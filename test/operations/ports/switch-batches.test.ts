import assert from 'node:assert/strict';
import { seconds } from '../../../plugin-api/index.ts';
import { Deferred } from '../../../src/kernel/concurrency/deferred.ts';
import { until } from '../../support/until.ts';
import { at, delay, SwitchScene, te, type WillingSwitch } from './switch-scene.ts';

describe('batches on a switch', () => {
  let scene: SwitchScene;
  let device: WillingSwitch;

  beforeEach(async () => {
    scene = await SwitchScene.open();
    device = scene.device;
  });
  afterEach(() => scene.close());

  const ask = (n: number): ReturnType<SwitchScene['ask']> => scene.ask(n);
  const quiet = (): Promise<void> => scene.quiet();

  /** Asks for ports 1 to `most` in one batch; gives those whose askers were told that it failed. */
  async function failedOf(most: number): Promise<readonly number[]> {
    const door = new Deferred<void>();
    device.door = door.promise;
    const asked = [];
    for (let n = 1; n <= most; n += 1) asked.push((await ask(n)).settled);
    const outcomes = Promise.allSettled(asked);
    await quiet();
    door.resolve();
    return (await outcomes).flatMap(({ status }, i) => (status === 'rejected' ? [i + 1] : []));
  }

  it('one begins at once when nothing is under way', async () => {
    await (
      await ask(1)
    ).settled;
    assert.deepEqual(device.batches, [[te(1)]]);
    await (
      await ask(2)
    ).settled;
    assert.deepEqual(device.batches, [[te(1)], [te(2)]]);
    assert.equal(device.opened, 1);
  });

  it('what is read as it was is written again only when the last writing is a minute ago', async () => {
    const readAt = async (): Promise<number> => {
      await (
        await ask(1)
      ).settled;
      return (await scene.storage.run((tx) => tx.ports.find(at.name, te(1))))!.observedAt!;
    };
    const first = await readAt();
    await scene.clock.advance(seconds(59));
    assert.equal(await readAt(), first);
    await scene.clock.advance(seconds(2));
    assert.equal(await readAt(), first + 61_000);
  });

  it('who asks while it logs in comes along', async () => {
    const door = new Deferred<void>();
    device.door = door.promise;
    const first = await ask(1);
    await until(() => device.opened === 1, 'the login');
    const others = [await ask(2), await ask(3)];
    await quiet();
    door.resolve();
    await Promise.all([first, ...others].map(({ settled }) => settled));
    assert.deepEqual(device.batches, [[te(1), te(2), te(3)]]);
  });

  it('who asks while one is at work waits for others, no longer than the delay', async () => {
    const work = new Deferred<void>();
    device.work = work.promise;
    const first = await ask(1);
    await until(() => device.batches.length === 1, 'the first batch');
    const second = await ask(2);
    await quiet();
    work.resolve();
    await first.settled;
    await quiet();
    const third = await ask(3);
    await quiet();
    assert.deepEqual(device.batches, [[te(1)]], 'the delay is not over');
    await scene.clock.advance(delay);
    await Promise.all([second.settled, third.settled]);
    assert.deepEqual(device.batches, [[te(1)], [te(2), te(3)]]);
  });

  it('the delay counts from the first that asks, so it may be over when the batch before is', async () => {
    const work = new Deferred<void>();
    device.work = work.promise;
    const first = await ask(1);
    await until(() => device.batches.length === 1, 'the first batch');
    const others = [await ask(2), await ask(3)];
    await quiet();
    await scene.clock.advance(delay);
    work.resolve();
    await Promise.all([first, ...others].map(({ settled }) => settled));
    assert.deepEqual(device.batches, [[te(1)], [te(2), te(3)]]);
  });

  it('a switch that nobody can log in to fails whoever asked meanwhile, and is tried again for the next', async () => {
    const door = new Deferred<void>();
    device.door = door.promise;
    const both = [await ask(1), await ask(2)];
    const failed = Promise.allSettled(both.map(({ settled }) => settled));
    await quiet();
    door.reject(new Error('no way in'));
    assert.deepEqual(
      (await failed).map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    device.door = Promise.resolve();
    await (
      await ask(3)
    ).settled;
    assert.deepEqual(device.batches, [[te(3)]]);
  });

  it('a port that is not as wanted afterwards fails who asked for it, and nobody else', async () => {
    device.stubborn = te(3);
    assert.deepEqual(await failedOf(16), [3]);
    assert.equal(device.batches.length, 1);
    assert.equal(device.saves, 1);
  });

  it('a port that is refused fails alone, and few batches find out which', async () => {
    device.refused = te(3);
    assert.deepEqual(await failedOf(16), [3]);
    // 16, 8, 4, 2, 1 with it are refused; the other halves succeed.
    assert.equal(device.saves, 4);
  });
});
