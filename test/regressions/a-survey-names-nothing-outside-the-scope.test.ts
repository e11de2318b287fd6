import assert from 'node:assert/strict';
import { milliseconds } from '../../plugin-api/index.ts';
import { timingsSection } from '../../src/config/section/timings.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { Survey } from '../../src/operations/survey/survey.ts';
import { machine } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

// Whoever asked for a survey was told, device by device, the names of all machines and switches, whatever the scope.
it('the progress of a survey names no device to who may not see all of them', async () => {
  const temp = await tempStorage();
  try {
    await temp.storage.run((tx) => tx.machines.insert(machine(1, { pool: 'others' })));
    const limit = milliseconds(200);
    const survey = new Survey({
      storage: temp.storage,
      clock: new SystemClock(),
      timings: timingsSection.parse({}),
      reader: { power: async () => 'off', ports: () => Promise.reject(new Error('there is no switch')) },
      limits: { bmcs: 1, switches: 1, bmcTimeout: limit, switchTimeout: limit, checkTimeout: limit },
      checks: [],
    });
    const told = async (scope: string): Promise<string> => {
      const lasts: string[] = [];
      await survey.take({ scope }, { onProgress: ({ last }) => lasts.push(last) });
      return lasts.join();
    };
    assert.match(await told('*'), /node-1/);
    assert.equal(await told('pool:mine'), 'a device');
  } finally {
    await temp.close();
  }
});
