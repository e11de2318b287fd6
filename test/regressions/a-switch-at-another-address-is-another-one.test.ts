import assert from 'node:assert/strict';
import { Deferred } from '../../src/kernel/concurrency/deferred.ts';
import type { SwitchTarget } from '../../plugin-api/index.ts';
import { at, SwitchScene, te } from '../operations/ports/switch-scene.ts';

// The session to a switch is kept open for the next batch, and was used for it also when an upload had given the switch another
// address meanwhile: ports were set, read back and found right on the old switch, and the machine stayed where it was on the new one.
describe('a switch that gets another address', () => {
  let scene: SwitchScene;
  let opened: string[];
  /** After the login, before the session is used. */
  let loggedIn: () => Promise<void>;

  beforeEach(async () => {
    scene = await SwitchScene.open();
    opened = [];
    loggedIn = async () => undefined;
    const { device } = scene;
    const open = device.open.bind(device) as (target: SwitchTarget) => ReturnType<typeof device.open>;
    Object.assign(device, {
      open: async (target: SwitchTarget) => {
        opened.push(target.host);
        const session = await open(target);
        await loggedIn();
        return { ...session, hostKey: `key of ${target.host}` };
      },
    });
  });

  afterEach(() => scene.close());

  const upload = (change: Partial<typeof at>): Promise<void> =>
    scene.storage.run((tx) => tx.racks.replace('{}', [{ ...at, ...change }], []));
  const settled = async (port: number): Promise<void> => {
    await (
      await scene.ask(port)
    ).settled;
  };

  it('is logged in to there for the next batch', async () => {
    await settled(1);
    await upload({ host: '127.0.0.2' });
    await settled(2);
    await settled(3);
    await upload({ host: '127.0.0.2', tcpPort: 2222 });
    await settled(4);
    assert.deepEqual(opened, ['127.0.0.1', '127.0.0.2', '127.0.0.2']);
  });

  it('and for the next reading', async () => {
    await settled(1);
    await upload({ host: '127.0.0.2' });
    await scene.ports.observe([{ switch: at.name, port: te(9) }]);
    assert.deepEqual(opened, ['127.0.0.1', '127.0.0.2']);
  });

  it('keeps its session where only something else changed', async () => {
    await settled(1);
    await upload({ fabric: 'blue' });
    await settled(2);
    assert.deepEqual(opened, ['127.0.0.1']);
  });

  it('is not given the host key of the other one', async () => {
    await upload({ hostKeyPin: null });
    const moved = new Deferred<void>();
    loggedIn = () => moved.promise;
    const { settled: first } = await scene.ask(1);
    await scene.quiet();
    await upload({ hostKeyPin: null, host: '127.0.0.2' });
    moved.resolve();
    await first;
    const known = await scene.storage.run((tx) => tx.racks.findSwitch(at.name));
    assert.deepEqual([opened, known?.hostKeyPin], [['127.0.0.1', '127.0.0.2'], 'key of 127.0.0.2']);
  });
});
