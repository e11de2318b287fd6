import assert from 'node:assert/strict';
import type { PortId } from '../../../plugin-api/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import type { Subject } from '../../../src/core/quarantine/quarantine.ts';
import { endQuarantine, enterQuarantine } from '../../../src/operations/quarantine/withhold.ts';
import { machine, machineId } from '../../store/samples.ts';
import { tempStorage } from '../../support/temp-storage.ts';

it('quarantine of a machine, its BMC and its ports is in its timeline; that of a switch is in nobody’s', async () => {
  const temp = await tempStorage();
  const { storage } = temp;
  const world = {
    clock: new SystemClock(),
    log: createLog({ level: 'silent' }),
    metrics: new Metrics(),
  };
  const id = machineId(1);
  const subjects: readonly Subject[] = [
    { kind: 'machine', name: id },
    { kind: 'bmc', name: id },
    { kind: 'port', name: 'tor-a Te 1/1' },
    { kind: 'switch', name: 'tor-a' },
  ];
  try {
    const rows = await storage.run(async (tx) => {
      await tx.machines.insert(machine(1));
      await tx.ports.desire({
        switch: 'tor-a',
        port: 'Te 1/1' as PortId,
        machineId: id,
        purpose: 'park',
        desired: { native: null, tagged: [], admin: 'down' },
      });
      for (const subject of subjects) {
        const reason = { code: 'a.b', reason: 'it broke', by: 'anna' };
        await enterQuarantine(tx, world, { subject, label: 'x', machineId: null, ...reason });
        await endQuarantine(tx, world, subject, { by: 'otto', because: 'cured' });
      }
      return tx.timeline.list({ machineId: id, limit: 100 });
    });
    assert.deepEqual(
      rows.map(({ kind, text }) => `${kind}: ${text}`).reverse(),
      ['machine', 'bmc', 'port tor-a Te 1/1'].flatMap((what) => [
        `quarantine: ${what} goes into quarantine [a.b], says anna: it broke`,
        `quarantine: ${what} comes out of quarantine [a.b], says otto: cured`,
      ]),
    );
  } finally {
    await temp.close();
  }
});
