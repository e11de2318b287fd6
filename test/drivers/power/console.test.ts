import assert from 'node:assert/strict';
import { LabSerial } from '../../../lab/bmc/lab-sol.ts';
import type { BmcConsole } from '../../../plugin-api/index.ts';
import { until } from '../../support/until.ts';
import { failure, onFloor } from './ipmi-fixture.ts';

const settings = { solRetryAfter: 40, idleAfter: 100 };

function listen(console: BmcConsole): { text: string; readonly over: Promise<void> } {
  const heard = { text: '', over: Promise.resolve() };
  heard.over = (async () => {
    for await (const bytes of console.output) heard.text += bytes.toString('latin1');
  })();
  return heard;
}

describe('IPMI driver: serial console', () => {
  it('carries every character once and in order, whatever is lost, repeated and late', async () => {
    const serial = new LabSerial();
    const faults = { dropIn: 0.1, dropOut: 0.1, dupOut: 0.2, staleFirst: true, jitterMs: 5 };
    await onFloor(
      { serial, settings: { ...settings, solTries: 30 }, seed: 7 },
      async ({ bmc, driver, target }) => {
        const console = await driver.open(target()).console!({ takeOver: false });
        const heard = listen(console);
        bmc.behave(faults);
        const printed = Array.from({ length: 300 }, (_, i) => `line ${i}\r\n`).join('');
        serial.print(printed);
        const typing = Array.from({ length: 40 }, (_, i) => `command ${i}\r`).join('');
        await console.write(Buffer.from(typing));
        await until(() => heard.text.length >= printed.length);
        assert.equal(heard.text, printed);
        assert.equal(serial.typed, typing);
        bmc.heal();
        await console.close();
        await heard.over;
        await until(() => bmc.sessionsUsed === 0);
      },
    );
  });

  it('sends a break, and keeps its session alive while nothing is typed', async () => {
    const serial = new LabSerial();
    await onFloor({ serial, settings }, async ({ bmc, driver, target }) => {
      const console = await driver.open(target()).console!({ takeOver: false });
      await console.sendBreak();
      assert.equal(serial.breaks, 1);
      const asked = (): number => bmc.counters['command 6.1'] ?? 0;
      await until(() => asked() >= 3);
      await console.write(Buffer.from('still here'));
      assert.equal(serial.typed, 'still here');
      await console.close();
      await console.close();
    });
  });

  it('is told when somebody takes it over', async () => {
    const serial = new LabSerial();
    await onFloor({ serial, settings }, async ({ driver, target }) => {
      const bmc = driver.open(target());
      const first = await bmc.console!({ takeOver: false });
      const told = assert.rejects(listen(first).over, /somebody else may have taken it/);
      await failure('power.busy', bmc.console!({ takeOver: false }));
      const second = await bmc.console!({ takeOver: true });
      await told;
      // Leaving the lost console does not end the other's.
      await first.close();
      await second.write(Buffer.from('mine'));
      assert.equal(serial.typed, 'mine');
      await second.close();
    });
  });

  it('ends with a reason when the BMC falls silent, and when the driver closes', async () => {
    const serial = new LabSerial();
    await onFloor({ serial, settings }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      const silent = assert.rejects(
        listen(await one.console!({ takeOver: false })).over,
        /does not answer any more/,
      );
      bmc.behave({ dead: true });
      await silent;
      bmc.heal();
      const end = assert.rejects(listen(await one.console!({ takeOver: true })).over, /being closed/);
      await driver.close();
      await end;
    });
  });

  it('says that a BMC has none', () =>
    onFloor({}, async ({ bmc, driver, target }) => {
      const error = await failure('power.refused', driver.open(target()).console!({ takeOver: false }));
      assert.match(error.message, /Serial over LAN is switched off/);
      assert.equal(bmc.sessionsUsed, 0);
    }));
});
