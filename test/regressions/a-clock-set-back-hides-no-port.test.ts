import assert from 'node:assert/strict';
import { parseVlanId, type ObservedPort } from '../../plugin-api/index.ts';
import { port } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const hour = 3_600_000;
const place = { switch: 'tor-a', port: port('p1') };
const desired = { native: parseVlanId(100), tagged: [], admin: 'up' } as const;
const before: ObservedPort = { ...desired, prepared: true, guarded: null };
const after: ObservedPort = { ...before, native: parseVlanId(200) };

// `csbm machine ports` and the timeline told for an hour what had been read before the clock was set back.
it('a reading after the clock was set back replaces the one before', async () => {
  const temp = await tempStorage();
  try {
    await temp.storage.run((tx) =>
      tx.ports.desire({ ...place, machineId: null, purpose: 'tenant', desired }),
    );
    for (const [observed, observedAt] of [
      [before, 2 * hour],
      [after, hour],
    ] as const)
      await temp.storage.run((tx) =>
        tx.ports.observe({ ...place, observed, observedVersion: 1, observedAt }),
      );
    const read = await temp.storage.run((tx) => tx.ports.find(place.switch, place.port));
    assert.deepEqual([read?.observed, read?.observedAt], [after, hour]);
  } finally {
    await temp.close();
  }
});
