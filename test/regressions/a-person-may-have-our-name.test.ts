import assert from 'node:assert/strict';
import { byPerson, endsByCheck, type QuarantineRecord } from '../../src/core/quarantine/quarantine.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import { enterQuarantine } from '../../src/operations/quarantine/withhold.ts';
import { tempStorage } from '../support/temp-storage.ts';

// Whoever works as a principal called `csbm` put a switch into quarantine, and the next passing check lifted it; where the switch was in
// quarantine of itself, what the person said was not even written down.
it('what a principal called csbm withholds is lifted by persons only', async () => {
  const temp = await tempStorage();
  const { storage } = temp;
  const world = { clock: new SystemClock(), log: createLog({ level: 'silent' }), metrics: new Metrics() };
  const subject = { kind: 'switch', name: 'tor-a' } as const;
  const finding = { subject, label: 'switch tor-a', reason: 'why', by: 'csbm', machineId: null };
  const enter = (code: string): Promise<boolean> =>
    storage.run((tx) => enterQuarantine(tx, world, { ...finding, code }));
  try {
    assert.equal(await enter('switch.timeout'), true);
    assert.equal(await enter('switch.auth'), false, 'in quarantine once, whatever else is wrong with it');
    assert.equal(await enter(byPerson), true);
    const records: readonly QuarantineRecord[] = await storage.run((tx) => tx.quarantines.active());
    assert.deepEqual(records.map((one) => [one.code, endsByCheck(one)]).sort(), [
      [byPerson, false],
      ['switch.timeout', true],
    ]);
  } finally {
    await temp.close();
  }
});
