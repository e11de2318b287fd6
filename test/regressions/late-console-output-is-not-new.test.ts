import assert from 'node:assert/strict';
import { LabSerial } from '../../lab/bmc/lab-sol.ts';
import { onFloor } from '../drivers/power/ipmi-fixture.ts';
import { until } from '../support/until.ts';

/**
 * The BMC repeats its output until it is acknowledged. A repetition that the network held back came after the packet that
 * followed it, had another packet number than the last one, and was printed a second time.
 */
describe('regression: console output that comes late', () => {
  it('is printed once when the network changes the order of what the BMC repeats', async () => {
    const serial = new LabSerial();
    await onFloor({ serial, settings: { solTries: 30 }, seed: 11 }, async ({ bmc, driver, target }) => {
      const console = await driver.open(target()).console!({ takeOver: false });
      let heard = '';
      const over = (async () => {
        for await (const bytes of console.output) heard += bytes.toString('latin1');
      })();
      // Above the 60 ms after which the simulated BMC repeats a packet.
      bmc.behave({ jitterMs: 150 });
      const printed = Array.from({ length: 120 }, (_, i) => `line ${i}\r\n`).join('');
      serial.print(printed);
      await until(() => heard.length >= printed.length);
      bmc.heal();
      assert.equal(heard, printed);
      await console.close();
      await over;
    });
  });
});
