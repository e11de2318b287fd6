import assert from 'node:assert/strict';
import { parseVlanId } from '../../plugin-api/index.ts';
import { createForce10CliDriver } from '../../src/drivers/switch/force10-cli/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { intentOf, te, uplink, withLab } from '../drivers/switch/lab-fixture.ts';

/**
 * A process that was frozen in the middle of a batch, and finds when it goes on that another has taken the switch over, still typed
 * `end`: a line more than the one that was on its way (law 9), into a session that the other may be reading about.
 */
it('regression: who finds the switch taken over in the middle of a batch sends nothing more', () =>
  withLab({}, {}, async ({ lab, target }) => {
    let left = 3;
    const context = {
      clock: new SystemClock(),
      log: () => undefined,
      mayChange: () => {
        left -= 1;
        if (left < 0) throw new Error('another instance has the switch');
      },
    };
    const driver = createForce10CliDriver(context, { settle: '40ms', closeTimeout: '500ms' });
    const session = await driver.open(target);
    try {
      const observed = await session.read([te(1), uplink]);
      const tenant = { native: parseVlanId(100), tagged: [], admin: 'up' } as const;
      const steps = driver.plan(observed, intentOf(new Map([[te(1), tenant]])));
      const before = lab.transcript.lines().length;
      await assert.rejects(session.apply(steps), /another instance has the switch/);
      assert.equal(lab.transcript.lines().length - before, 3);
    } finally {
      await session.close();
    }
  }));
