import assert from 'node:assert/strict';
import type { QuarantineRecord } from '../../src/core/quarantine/quarantine.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

const record: QuarantineRecord = {
  ...{ kind: 'switch', name: 'tor-a', code: 'switch.timeout', reason: 'silent', since: 5, by: 'csbm' },
  ...{ count: 1, lastAt: 5, liftedAt: null, liftedBy: null, liftedBecause: null },
};

describe('quarantine store', () => {
  let temp: TempStorage;

  beforeEach(async () => {
    temp = await tempStorage();
  });
  afterEach(() => temp.close());

  it('keeps a row for each reason of each subject', async () => {
    const person: QuarantineRecord = {
      ...record,
      code: 'quarantine.by-person',
      by: 'anna',
      lastAt: 6,
      since: 7,
    };
    const port: QuarantineRecord = {
      ...record,
      kind: 'port',
      name: 'tor-a TenGigabitEthernet 1/1',
      lastAt: 7,
      since: 6,
    };
    const lifted: QuarantineRecord = {
      ...record,
      ...{ count: 2, since: null, lastAt: 8, liftedAt: 9, liftedBy: 'csbm', liftedBecause: 'it answers' },
    };
    await temp.storage.run(async ({ quarantines }) => {
      for (const one of [record, person, port]) await quarantines.put(one);
      assert.deepEqual(await quarantines.active(), [record, port, person]);
      await quarantines.put(lifted);
      assert.deepEqual(await quarantines.active(), [port, person]);
      assert.deepEqual(await quarantines.ofSubject({ kind: 'switch', name: 'tor-a' }), [lifted, person]);
      assert.deepEqual(await quarantines.list(), [lifted, port, person]);
      await quarantines.forget({ kind: 'switch', name: 'tor-a' });
      assert.deepEqual(await quarantines.list(), [port]);
    });
  });

  it('keeps what fails just now, one row for each subject, until it is forgotten', async () => {
    const tor = { kind: 'switch', name: 'tor-a' } as const;
    const trouble = { ...tor, failures: 2, ages: [90_000], begun: 'a1', revision: 2 };
    await temp.storage.run(async ({ quarantines }) => {
      assert.equal(await quarantines.troubleForChange(tor), null);
      await quarantines.putTrouble({ ...trouble, failures: 1, revision: 1 });
      await quarantines.putTrouble(trouble);
      assert.deepEqual(await quarantines.troubleForChange(tor), trouble);
      const port = { ...trouble, kind: 'port' as const, name: 'tor-a te1', ages: [7_000, 50, 0] };
      await quarantines.putTrouble(port);
      await quarantines.forgetTrouble(port);
      assert.deepEqual(await quarantines.troubles(), [trouble]);
      await quarantines.forget(tor);
      assert.deepEqual(await quarantines.troubles(), []);
    });
  });
});
