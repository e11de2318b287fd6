import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { milliseconds, minutes, type Duration } from '../../../plugin-api/index.ts';
import type { Storage } from '../../../src/core/storage/storage.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import { EventNotes } from '../../../src/operations/timeline/event-notes.ts';
import { NotesFiles } from '../../../src/operations/timeline/notes-files.ts';
import type { MachineEvent } from '../../../src/operations/timeline/record-event.ts';
import { machineId, operation } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { until } from '../../support/until.ts';

describe('events without a unit of work of their own', () => {
  let temp: TempStorage;
  let units = 0;
  let away = false;
  const metrics = new Metrics();

  before(async () => {
    temp = await tempStorage();
  });
  after(() => temp.close());
  beforeEach(() => {
    units = 0;
    away = false;
  });

  const storage: Storage = {
    run: (work) => {
      if (away) return Promise.reject(new Error('the database is away'));
      units += 1;
      return temp.storage.run(work);
    },
    close: () => Promise.resolve(),
  };
  const notes = (
    more: { readonly delay?: Duration; readonly most?: number; readonly files?: NotesFiles } = {},
  ): EventNotes =>
    new EventNotes({
      storage,
      clock: new SystemClock(),
      log: createLog({ level: 'silent' }),
      metrics,
      delay: minutes(60),
      ...more,
    });
  const event = (n: number, text: string, more: Partial<MachineEvent> = {}): MachineEvent => ({
    at: 1,
    machineId: machineId(n),
    kind: 'bmc',
    text,
    ...more,
  });
  const texts = (n: number): Promise<readonly string[]> =>
    temp.storage.run(async (tx) =>
      (await tx.timeline.list({ machineId: machineId(n), limit: 100 })).map(({ text }) => text).reverse(),
    );

  it('are written together, a moment later', async () => {
    const some = notes({ delay: milliseconds(20) });
    for (let n = 1; n <= 50; n += 1) some.note(event(1, `told ${n}`));
    await until(async () => (await texts(1)).length === 50, 'the notes');
    assert.equal(units, 1);
    assert.equal((await texts(1))[49], 'told 50');
    await some.close();
  });

  it('go with the next unit of work of the operation on their machine, and come back when it fails', async () => {
    const some = notes();
    await temp.storage.run((tx) => tx.journal.insert(operation('op-2', 2)));
    some.note(event(2, 'ours'));
    some.note(event(2, 'answered', { operationId: null }));
    some.note(event(3, 'elsewhere'));
    const lost = some.take(machineId(2), 'op-2')!;
    await assert.rejects(
      temp.storage.run(async (tx) => {
        await lost.write(tx);
        throw new Error('the unit fails');
      }),
    );
    lost.giveBack();
    assert.deepEqual(await texts(2), []);
    const taken = some.take(machineId(2), 'op-2')!;
    assert.equal(some.take(machineId(2), 'op-2'), null);
    await temp.storage.run((tx) => taken.write(tx));
    const rows = await temp.storage.run((tx) => tx.timeline.list({ machineId: machineId(2), limit: 9 }));
    assert.deepEqual(rows.map(({ text, operationId }) => [text, operationId]).reverse(), [
      ['ours', 'op-2'],
      ['answered', null],
    ]);
    assert.deepEqual(await texts(3), []);
    await some.close();
    assert.deepEqual(await texts(3), ['elsewhere'], 'a stop writes what waits');
  });

  it('wait for a database that is away, so many of them; the same again and again is one', async () => {
    const some = notes({ delay: milliseconds(5), most: 10 });
    away = true;
    for (let i = 0; i < 1_000; i += 1) some.note(event(4, 'again'));
    for (let i = 0; i < 12; i += 1) some.note(event(4, `other ${i}`));
    await some.flush();
    await some.flush();
    away = false;
    await until(async () => (await texts(4)).length > 0, 'the notes');
    const told = await texts(4);
    assert.equal(told.length, 10);
    assert.match(told[0]!, /^again \(1000 times\)/);
    assert.match(await metrics.text(), /csbm_timeline_events_lost_total 3/);
    await some.close();
  });

  describe('in a file', () => {
    let folder: string;
    beforeEach(() => {
      folder = path.join(mkdtempSync(path.join(tmpdir(), 'csbm-notes-')), 'timeline');
    });
    afterEach(() => rmSync(path.dirname(folder), { recursive: true, force: true }));

    const inFiles = (): EventNotes => notes({ files: new NotesFiles(folder) });
    /** What is in the folder is of a process that ended, from now on. */
    const crash = (): void => {
      for (const name of readdirSync(folder)) {
        const file = path.join(folder, name);
        writeFileSync(file, readFileSync(file, 'utf8').replace(/^.*\n/, 'another-boot pid:[1] 1 1\n'));
      }
    };

    it('outlive the process, and are written once', async () => {
      const first = inFiles();
      for (let i = 0; i < 600; i += 1) first.note(event(5, `told ${i}`));
      const taken = first.take(machineId(5), 'op-5')!;
      await temp.storage.run((tx) => taken.write(tx));
      taken.written();
      first.note(event(5, 'the last'));
      first.note(event(6, 'elsewhere'));
      const second = inFiles();
      await second.flush();
      assert.deepEqual(await texts(6), [], 'a process that runs keeps its own');
      crash();
      // A line that the crash cut.
      appendFileSync(path.join(folder, readdirSync(folder)[0]!), '{"id":"ev-0');
      const third = inFiles();
      third.note(event(6, 'after the crash'));
      await third.flush();
      const rows = await temp.storage.run((tx) => tx.timeline.list({ machineId: machineId(5), limit: 900 }));
      assert.equal(rows.length, 601);
      assert.equal(rows[0]!.text, 'the last');
      assert.deepEqual(await texts(6), ['elsewhere', 'after the crash']);
      for (const one of [third, second, first]) await one.close();
      assert.deepEqual(readdirSync(folder), [], 'nothing is left of what is written');
    });

    it('are written once where it is not certain whether they were', async () => {
      const some = inFiles();
      some.note(event(7, 'perhaps'));
      const taken = some.take(machineId(7), 'op-7')!;
      await temp.storage.run((tx) => taken.write(tx));
      taken.giveBack();
      some.note(event(7, 'later'));
      const again = some.take(machineId(7), 'op-7')!;
      await temp.storage.run((tx) => again.write(tx));
      again.giveBack();
      await some.close();
      assert.deepEqual(await texts(7), ['perhaps', 'later']);
    });

    it('need little room, and no file at all where there can be none', async () => {
      const some = inFiles();
      const long = 'x'.repeat(900);
      for (let i = 0; i < 4_000; i += 1) {
        some.note(event(8, `${i} ${long}`));
        some.take(machineId(8), 'op-8')!.written();
      }
      const [name] = readdirSync(folder);
      assert.ok(statSync(path.join(folder, name!)).size < 2 ** 21);
      await some.close();
      writeFileSync(folder.replace(/timeline$/, 'taken'), '');
      const nowhere = notes({ files: new NotesFiles(folder.replace(/timeline$/, 'taken/timeline')) });
      nowhere.note(event(9, 'told all the same'));
      await nowhere.close();
      assert.deepEqual(await texts(9), ['told all the same']);
    });
  });
});
