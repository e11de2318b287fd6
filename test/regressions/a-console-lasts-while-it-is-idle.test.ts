import assert from 'node:assert/strict';
import { LabSerial } from '../../lab/bmc/lab-sol.ts';
import { onFloor } from '../drivers/power/ipmi-fixture.ts';
import { until } from '../support/until.ts';

const settings = { solRetryAfter: 40, idleAfter: 60 };
const cisco = 5771;

/**
 * The session of a console was closed as idle when the BMC's maker, or a setting, said that its sessions are few: nothing came any
 * more, and nobody was told. One lost answer to what keeps the session alive ended the console, too. And who left a console that
 * the BMC had forgotten deactivated, in a new session, the console that somebody else had opened since.
 */
describe('regression: a console on which nothing is typed', () => {
  for (const [why, options] of [
    ['by its maker', { traits: { manufacturer: cisco }, settings }],
    ['by setting', { settings: { ...settings, quirks: ['few-sessions'] } }],
  ] as const)
    it(`lasts on a BMC that has few sessions ${why}`, async () => {
      const serial = new LabSerial();
      await onFloor({ serial, ...options }, async ({ bmc, driver, target }) => {
        const console = await driver.open(target()).console!({ takeOver: false });
        const asked = (): number => (bmc.counters['command 6.1'] ?? 0) + (bmc.counters['command 6.60'] ?? 0);
        await until(() => asked() >= 3);
        await console.write(Buffer.from('still here'));
        assert.equal(serial.typed, 'still here');
        assert.equal(bmc.counters['command 6.60'], undefined, 'no session was closed');
        await console.close();
        assert.equal(bmc.sessionsUsed, 0);
      });
    });

  it('outlives one lost answer', async () => {
    const serial = new LabSerial();
    await onFloor({ serial, settings }, async ({ bmc, driver, target }) => {
      const console = await driver.open(target()).console!({ takeOver: false });
      const asked = (): number => bmc.counters['command 6.1'] ?? 0;
      bmc.behave({ mute: ['6.1'] });
      await until(() => asked() >= 1);
      bmc.heal();
      const before = asked();
      await until(() => asked() >= before + 2);
      await console.write(Buffer.from('still here'));
      assert.equal(serial.typed, 'still here');
      await console.close();
    });
  });

  it('is left without ending that of somebody else, when the BMC has forgotten it', async () => {
    const serial = new LabSerial();
    const slow = { solRetryAfter: 40, idleAfter: 60_000 };
    await onFloor({ serial, settings: slow }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      const forgotten = await one.console!({ takeOver: false });
      bmc.dropSessions();
      const other = await one.console!({ takeOver: false });
      await forgotten.close();
      await other.write(Buffer.from('mine'));
      assert.equal(serial.typed, 'mine');
      await other.close();
    });
  });
});
