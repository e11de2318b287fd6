import assert from 'node:assert/strict';
import { intentOf, te, uplink, withLab, withSession } from '../drivers/switch/lab-fixture.ts';
import { parseVlanId } from '../../plugin-api/index.ts';
import { until } from '../support/until.ts';

// A session ended with `sessionTimeout` after its login. One that is kept for the next batch, and always has one, was cut in the
// middle of a batch then.
it('a session that is always at work is not cut in the middle of a batch', async () => {
  await withLab({}, { sessionTimeout: '1s' }, async (fixture) => {
    await withSession(fixture, async (session) => {
      const ends = performance.now() + 1_500;
      await until(async () => {
        await session.read([te(1)]);
        return performance.now() > ends;
      });
      const observed = await session.read([te(1), uplink]);
      const wish = { native: parseVlanId(100), tagged: [], admin: 'up' } as const;
      await session.apply(fixture.driver.plan(observed, intentOf(new Map([[te(1), wish]]))));
      await session.save();
    });
    assert.equal(fixture.lab.model.effective(te(1)).native, 100);
    assert.equal(fixture.lab.model.saved, true);
  });
});
