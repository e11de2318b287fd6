import assert from 'node:assert/strict';
import type { SelRecord } from '../../src/wire/rmcp/sel-record.ts';
import { onFloor } from '../drivers/power/ipmi-fixture.ts';

describe('regression: what a BMC says of itself', () => {
  // "Read back" was said of flags that the BMC showed as marked invalid, which no firmware heeds.
  it('is no confirmation of a boot device where the flags are marked invalid', () =>
    onFloor({ behaviours: { bootFlagsInvalid: true } }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      const request = { device: 'pxe', persistent: false, firmware: 'legacy' } as const;
      const evidence = await one.setBootDevice(request);
      assert.equal(evidence.verified, false);
      assert.equal(await one.bootDevice(), null);
      bmc.heal();
      assert.equal((await one.setBootDevice(request)).verified, true);
    }));

  // FFFFFFFFh means that the time is not known (IPMI 2.0, section 37.1), and was shown as the year 2106.
  it('has no time where the time of an event is unspecified', () => {
    const entry: SelRecord = {
      kind: 'event',
      id: 1,
      timestamp: 0xffff_ffff,
      generator: 0x20,
      sensorType: 4,
      sensor: 1,
      eventType: 1,
      asserted: true,
      data: Buffer.from([2, 0, 0]),
    };
    return onFloor({ traits: { eventLog: [entry] } }, async ({ driver, target }) => {
      const [event] = await driver.open(target()).eventLog!();
      assert.equal(event!.at, null);
    });
  });
});
