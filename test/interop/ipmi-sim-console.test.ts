import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { BmcConsole, PowerDriver } from '../../plugin-api/index.ts';
import { failure, newDriver, targetAt } from '../drivers/power/ipmi-fixture.ts';
import { requirePeer } from '../support/peers.ts';
import { until } from '../support/until.ts';
import { startSimulator, type Simulator } from './ipmi-sim/simulator.ts';

describe("interop: the serial console through OpenIPMI's ipmi_sim", function () {
  this.timeout(60_000);
  const line = createServer();
  let serial: Socket | undefined;
  let simulator: Simulator | undefined;
  let driver: PowerDriver | undefined;
  let typed = '';

  before(async function () {
    requirePeer(this, 'ipmi_sim');
    line.listen(0, '127.0.0.1');
    await once(line, 'listening');
    const connected = once(line, 'connection') as Promise<[Socket]>;
    const { port } = line.address() as AddressInfo;
    simulator = await startSimulator([], [`  sol "tcp:127.0.0.1:${port}" 115200`]);
    driver = newDriver({ answerTimeouts: [1_000, 2_000, 3_000, 3_000], solRetryAfter: 200 });
    await driver.open(targetAt(simulator.port)).state();
    [serial] = await connected;
    serial.on('data', (bytes: Buffer) => (typed += bytes.toString()));
  });

  after(async () => {
    await driver?.close();
    await simulator?.stop();
    serial?.destroy();
    line.close();
  });

  const reading = (console: BmcConsole): { text: string; readonly over: Promise<void> } => {
    const heard = { text: '', over: Promise.resolve() };
    heard.over = (async () => {
      for await (const bytes of console.output) heard.text += bytes.toString();
    })();
    return heard;
  };

  it('carries text both ways, long pieces too, while other commands go on', async () => {
    const bmc = driver!.open(targetAt(simulator!.port));
    const console = await bmc.console!({ takeOver: false });
    const heard = reading(console);
    serial!.write('login: ');
    await until(() => heard.text.includes('login: '));
    await console.write(Buffer.from('root\r'));
    await until(() => typed === 'root\r');
    assert.equal(await bmc.state(), 'off');
    const long = 'abcdefghij'.repeat(300);
    serial!.write(long);
    await until(() => heard.text.endsWith(long));
    await console.write(Buffer.from('0123456789'.repeat(50)));
    await until(() => typed.endsWith('0123456789'.repeat(50)));
    await console.close();
    await heard.over;
    assert.equal(heard.text, `login: ${long}`);
    assert.equal(typed, `root\r${'0123456789'.repeat(50)}`);
  });

  it('is for one at a time, and can be taken over', async () => {
    const bmc = driver!.open(targetAt(simulator!.port));
    const first = await bmc.console!({ takeOver: false });
    await failure('power.busy', bmc.console!({ takeOver: false }));
    const second = await bmc.console!({ takeOver: true });
    // ipmi_sim does not tell the first one; it finds out when it types.
    await failure('power.unreachable', first.write(Buffer.from('lost')));
    await second.write(Buffer.from('mine'));
    await until(() => typed.endsWith('mine'));
    await Promise.all([first.close(), second.close()]);
    // Both have left: the next one comes in without taking anything over.
    await (await bmc.console!({ takeOver: false })).close();
  });
});
