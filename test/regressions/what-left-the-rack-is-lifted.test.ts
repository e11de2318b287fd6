import assert from 'node:assert/strict';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { Machines } from '../../src/operations/machines.ts';
import { Quarantines } from '../../src/operations/quarantine/quarantines.ts';
import { tempStorage } from '../support/temp-storage.ts';

const anna = { door: 'admin', principal: 'anna', role: 'admin', scope: '*', reason: 'scrapped' } as const;

// "There is no switch in the rack config": what a person had withheld stayed so for ever, also when the switch came back.
describe('a quarantine of what has left the rack config', () => {
  for (const [kind, name] of [
    ['switch', 'tor-9'],
    ['port', 'tor-9 tengigabitethernet 1/9'],
  ] as const)
    it(`is lifted by a person: ${kind}`, async () => {
      const temp = await tempStorage();
      try {
        await temp.storage.run((tx) =>
          tx.quarantines.put({
            ...{ kind, name, code: 'quarantine.by-person', reason: 'anna: smokes', machineId: null },
            ...{
              since: 3,
              by: 'anna',
              count: 1,
              lastAt: 3,
              liftedAt: null,
              liftedBy: null,
              liftedBecause: null,
            },
          }),
        );
        const quarantines = new Quarantines({
          world: {
            storage: temp.storage,
            clock: new SystemClock(),
            log: createLog({ level: 'silent', destination: { write: () => undefined } }),
            metrics: new Metrics(false),
            events: new EventBus(),
          },
          machines: {} as unknown as Machines,
          switchTypes: new Map(),
          onLifted: () => undefined,
        });
        const [lifted] = await quarantines.lift(kind, name, anna);
        assert.deepEqual([lifted?.since, lifted?.liftedBy], [null, 'anna']);
        await assert.rejects(quarantines.lift(kind, name.replace('9', '8'), anna), {
          code: 'request.not-found',
        });
      } finally {
        await temp.close();
      }
    });
});
