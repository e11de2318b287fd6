import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { milliseconds } from '../../plugin-api/index.ts';
import { Deferred } from '../../src/kernel/concurrency/deferred.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import { HistoryFile } from '../../src/operations/restore/history-file.ts';
import { RestoreMode } from '../../src/operations/restore/restore-mode.ts';
import { readStoredState } from '../../src/operations/survey/stored-state.ts';
import { machine } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

// The one that was second to find that nothing differs after a restore failed with "it was accepted meanwhile", and its process with it.
it('two instances that come up on a restored database together both go to work', async () => {
  const temp = await tempStorage();
  const { storage } = temp;
  const folder = mkdtempSync(join(tmpdir(), 'csbm-two-'));
  const both = new Deferred<void>();
  let looking = 0;
  const one = (name: string): RestoreMode =>
    new RestoreMode({
      storage,
      clock: new SystemClock(),
      log: createLog({ level: 'silent' }),
      metrics: new Metrics(),
      events: new EventBus(),
      boots: { withdraw: async () => undefined } as never,
      survey: {
        look: async () => {
          const stored = await readStoredState(storage);
          looking += 1;
          if (looking === 2) both.resolve();
          await both.promise;
          return { stored, readings: { bmcs: new Map(), switches: new Map() } };
        },
      },
      file: new HistoryFile(join(folder, name)),
      lookInterval: milliseconds(10),
    });
  try {
    await storage.run(async (tx) => {
      await tx.machines.insert(machine(1, { state: 'new', power: null, quarantine: null }));
      const restored = { at: 1, why: 'restored', backupAt: 1, comparedAt: null, acceptedAt: null };
      await tx.history.update({ ...(await tx.history.read()), restored });
    });
    const instances = [one('a'), one('b')];
    await Promise.all(instances.map((mode) => mode.begin()));
    assert.deepEqual(
      instances.map(({ closed }) => closed),
      [false, false],
    );
    const { generation } = await storage.run((tx) => tx.history.read());
    assert.equal(generation, 2, 'accepted once');
    await Promise.all(instances.map((mode) => mode.stop()));
  } finally {
    await temp.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
