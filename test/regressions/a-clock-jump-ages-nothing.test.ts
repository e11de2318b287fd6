import assert from 'node:assert/strict';
import { minutes } from '../../plugin-api/index.ts';
import { NotedMoments } from '../../src/drivers/deploy/maas/noted-moments.ts';
import { wholeScope } from '../../src/core/access/scope.ts';
import { Access } from '../../src/operations/access.ts';
import { ApiKeys } from '../../src/operations/api-keys.ts';
import { JumpingManualClock } from '../support/jumping-clock.ts';
import { tempStorage } from '../support/temp-storage.ts';

const hour = 3_600_000;

// A wall clock that was an hour off made a deploy of an upstream MAAS fail for a first boot that "took too long", ended the
// grace after a call, and forgot nonces of requests that could still be repeated once the clock was put right.
describe('a clock jump ages nothing', () => {
  it('a moment in a note is as old as the steady clock says', async () => {
    const clock = new JumpingManualClock();
    const moments = new NotedMoments(clock);
    const at = clock.now();
    assert.equal(moments.since('abc', 'deployed', at), 0);
    for (const off of [hour, -hour]) {
      clock.off = off;
      await clock.advance(minutes(1));
    }
    assert.equal(moments.since('abc', 'deployed', at), minutes(2));
    assert.equal(moments.since('abc', 'sent', at), 0, 'another moment');
    assert.equal(moments.since('abc', 'deployed', at + 1), 0, 'a later one of the same machine');
  });

  it('a nonce is remembered over a jump forth and back', async () => {
    const clock = new JumpingManualClock();
    const temp = await tempStorage({ clock });
    try {
      const root = { principal: 'root', role: 'admin', scope: wholeScope, door: 'test', reason: '' } as const;
      await new Access(temp.storage, clock).create(
        { name: 'ci', role: 'operator', scope: '*', lifetime: null },
        root,
      );
      const keys = new ApiKeys(temp.storage, clock);
      const { tokenKey } = await keys.create('ci', '', root);
      for (const n of [1, 2, 3]) {
        assert.equal(await keys.takeNonce(tokenKey, `seen ${n}`), true);
        clock.off = hour;
        await keys.takeNonce(tokenKey, `while it was wrong ${n}`);
        await clock.advance(minutes(12));
        await keys.takeNonce(tokenKey, `still wrong ${n}`);
        clock.off = 0;
        assert.equal(await keys.takeNonce(tokenKey, `right again ${n}`), true);
        await clock.advance(minutes(4));
        await keys.takeNonce(tokenKey, `other ${n}`);
        assert.equal(await keys.takeNonce(tokenKey, `right again ${n}`), false, 'four minutes old');
      }
    } finally {
      await temp.close();
    }
  });
});
