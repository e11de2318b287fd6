import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { OperationRecord } from '../../src/core/storage/journal-records.ts';
import { recordEvent, recordEvents, type MachineEvent } from '../../src/operations/timeline/record-event.ts';
import { Timeline, type TimelineEntry, type TimelineQuery } from '../../src/operations/timeline/timeline.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { machine, machineId, operation, step } from './samples.ts';

const everywhere = { scope: '*' };

describe('timelines of machines', () => {
  let temp: TempStorage;
  let timeline: Timeline;

  before(async () => {
    temp = await tempStorage();
    timeline = new Timeline(temp.storage);
    await temp.storage.run(async (tx) => {
      for (let n = 1; n <= 60; n += 1) await tx.machines.insert(machine(n));
    });
  });
  after(() => temp.close());

  const event = (n: number, at: number, more: Partial<MachineEvent> = {}): MachineEvent => ({
    at,
    machineId: machineId(n),
    kind: 'power',
    text: `event at ${at}`,
    ...more,
  });

  /** Everything, page by page, the newest first. */
  const walk = async (query: TimelineQuery): Promise<readonly TimelineEntry[]> => {
    const all: TimelineEntry[] = [];
    let cursor: string | undefined;
    for (let pages = 0; ; pages += 1) {
      assert.ok(pages < 2_000, 'the pages have no end');
      const page = await timeline.page(everywhere, { ...query, ...(cursor !== undefined && { cursor }) });
      assert.ok(page.entries.length <= query.limit);
      all.push(...page.entries);
      if (page.next === null) return all;
      assert.notEqual(page.next, cursor, 'a page leads to itself');
      cursor = page.next;
    }
  };

  let used = 0;
  const nextMachine = (): number => (used += 1);

  it('every page size gives everything once, in order, whatever happened in the same moment', async () => {
    /** What happened: operations one after the other, each with steps, and events and alarms anywhere. */
    const story = fc.record({
      operations: fc.array(fc.record({ length: fc.nat(3), steps: fc.nat(4) }), { maxLength: 60 }),
      events: fc.array(fc.nat(40), { maxLength: 40 }),
      alarms: fc.array(fc.nat(40), { maxLength: 10 }),
      limit: fc.integer({ min: 1, max: 30 }),
      since: fc.option(fc.nat(60), { nil: undefined }),
      until: fc.option(fc.nat(120), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(story, async ({ operations, events, alarms, limit, since, until }) => {
        const n = nextMachine();
        const wanted: { id: string; at: number }[] = [];
        await temp.storage.run(async (tx) => {
          let now = 0;
          for (const [i, { length, steps }] of operations.entries()) {
            const id = `op-${n}-${String(i).padStart(3, '0')}`;
            const record: OperationRecord = operation(id, n, {
              createdAt: now,
              endedAt: now + length,
              state: 'done',
            });
            await tx.journal.insert(record);
            wanted.push({ id: `${id}:begun`, at: now }, { id: `${id}:ended`, at: now + length });
            for (let seq = 0; seq < steps; seq += 1) {
              const endedAt = now + Math.min(seq, length);
              const startedAt = now + Math.min(Math.max(0, seq - 1), length);
              await tx.journal.putStep(step(id, seq, { state: 'done', startedAt, endedAt }));
              wanted.push({ id: `${id}:${String(seq).padStart(4, '0')}`, at: endedAt });
            }
            now += length + 1;
          }
          for (const at of alarms) {
            const id = `al-${n}-${wanted.length}`;
            await tx.alarms.insert({ id, at, code: 'a.b', machineId: machineId(n), text: 'look' });
            wanted.push({ id, at });
          }
          await recordEvents(
            tx,
            events.map((at) => event(n, at)),
          );
          const rows = await tx.timeline.list({ machineId: machineId(n), limit: 1_000 });
          assert.equal(rows.length, events.length);
          wanted.push(...rows.map(({ id, at }) => ({ id, at })));
        });
        const query = { machine: machineId(n), since, until, limit };
        const found = await walk(query);
        const inside = wanted.filter(({ at }) => at >= (since ?? 0) && at <= (until ?? Infinity));
        assert.deepEqual(found.map(({ id }) => id).sort(), inside.map(({ id }) => id).sort());
        const times = found.map(({ at }) => at);
        assert.deepEqual(
          times,
          times.toSorted((a, b) => b - a),
        );
        const whole = await walk({ ...query, limit: 500 });
        assert.deepEqual(whole, found);
      }),
      { numRuns: 25 },
    );
  }).timeout(60_000);

  it('one operation is shown with its own steps and events, from its beginning to its end', async () => {
    const n = nextMachine();
    await temp.storage.run(async (tx) => {
      await tx.journal.insert(operation('op-before', n, { createdAt: 1, endedAt: 2, state: 'done' }));
      await tx.journal.insert(operation('op-shown', n, { createdAt: 10, endedAt: 40, state: 'failed' }));
      const evidence = { summary: 'the power is off', verified: true };
      await tx.journal.putStep(step('op-shown', 0, { state: 'done', startedAt: 12, endedAt: 20, evidence }));
      await recordEvent(tx, event(n, 15, { operationId: 'op-shown', before: 'on', after: 'off', took: 7 }));
      await recordEvent(tx, event(n, 16, { operationId: null }));
    });
    const { entries } = await timeline.page(everywhere, {
      machine: `node-${n}`,
      operation: 'op-shown',
      limit: 100,
    });
    const told = entries.map(({ at, kind, outcome, took }) => [at, kind, outcome, took]);
    assert.deepEqual(told.reverse(), [
      [10, 'operation', 'begun', null],
      [15, 'power', null, 7],
      [20, 'step', 'done', 8],
      [40, 'operation', 'failed', 30],
    ]);
    const [, power, stepDone] = entries.toReversed();
    assert.deepEqual([power?.before, power?.after], ['on', 'off']);
    assert.equal(stepDone?.evidence?.summary, 'the power is off');
  });

  it('an operation during which the clock was set back is told in its own order, on pages of any size', async () => {
    const hour = 3_600_000;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.nat(hour),
        fc.integer({ min: 1, max: 12 }),
        async (jump, by, limit) => {
          const n = nextMachine();
          const id = `op-jump-${n}`;
          /** What the clock says after so many seconds. */
          const wall = (second: number): number => 10 * hour + 1_000 * second - (second >= jump ? by : 0);
          await temp.storage.run(async (tx) => {
            await tx.journal.insert(
              operation(`op-jump-${n}-before`, n, {
                createdAt: wall(0) - 9,
                endedAt: wall(0) - 1,
                state: 'done',
              }),
            );
            await tx.journal.insert(
              operation(id, n, { createdAt: wall(0), endedAt: wall(10), state: 'done' }),
            );
            for (let seq = 0; seq < 10; seq += 1) {
              await tx.journal.putStep(
                step(id, seq, { state: 'done', startedAt: wall(seq), endedAt: wall(seq + 1) }),
              );
              await recordEvent(tx, event(n, wall(seq), { operationId: id, text: `during ${seq}` }));
            }
          });
          const all = await walk({ machine: machineId(n), limit });
          assert.equal(new Set(all.map((entry) => entry.id)).size, 24, 'everything once');
          const whole = (await walk({ machine: machineId(n), limit: 500 })).toReversed();
          const own = whole.filter(({ operationId }) => operationId === id);
          const steps = own
            .filter(({ kind }) => kind !== 'power')
            .map((entry) => entry.id.replace(`${id}:`, ''));
          assert.deepEqual(steps, ['begun', ...Array.from({ length: 10 }, (_, seq) => `000${seq}`), 'ended']);
          if (by > 11_000)
            assert.equal(own[0]!.outcome, 'begun', 'no event of it is told before its beginning');
          assert.equal(own.at(-1)!.outcome, 'done');
          for (const { took } of own) assert.ok(took === null || (took >= 0 && took <= 11_000));
        },
      ),
      { numRuns: 15 },
    );
  });

  it('an event belongs to the operation that is active on its machine when it is written, unless it says otherwise', async () => {
    const [busy, idle] = [nextMachine(), nextMachine()];
    await temp.storage.run(async (tx) => {
      await tx.journal.insert(operation('op-now', busy));
      await recordEvents(tx, [
        event(busy, 1),
        event(busy, 2, { operationId: null }),
        event(busy, 3, { operationId: 'op-other' }),
        event(idle, 4),
      ]);
      const of = async (n: number): Promise<unknown> =>
        (await tx.timeline.list({ machineId: machineId(n), limit: 9 })).map((row) => row.operationId);
      assert.deepEqual(await of(busy), ['op-other', null, 'op-now']);
      assert.deepEqual(await of(idle), [null]);
    });
  });

  it('keeps any text as one line with an end', async () => {
    const n = nextMachine();
    const text = fc.string({ unit: 'binary', maxLength: 2_000 });
    const texts = fc.array(fc.tuple(text, text, text), { minLength: 10, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(texts, async (drawn) => {
        const events = drawn.map(([told, before, reason]) =>
          event(n, 1, { text: told, before, who: { principal: told, door: before, reason } }),
        );
        const rows = await temp.storage.run(async (tx) => {
          await recordEvents(tx, events);
          return tx.timeline.list({ machineId: machineId(n), limit: events.length });
        });
        for (const [i, row] of rows.toReversed().entries()) {
          const { before, text: kept, who } = row;
          assert.ok(kept.length <= 1_000 && before !== null && before.length <= 300);
          assert.ok(who && who.reason.length <= 300 && who.principal.length <= 128);
          assert.doesNotMatch(`${kept}${before}${who.reason}`, /\p{Cc}|\p{Surrogate}/u);
          const told = drawn[i]![0];
          if (/^[\w ]{1,1000}$/.test(told)) assert.equal(kept, told);
        }
      }),
      { numRuns: 4 },
    );
  });

  it('a cursor that is none is refused, and a machine outside the scope is not there', async () => {
    const query = { machine: 'node-1', limit: 5 };
    await assert.rejects(timeline.page(everywhere, { ...query, cursor: "'; --" }), /request\.invalid/);
    await assert.rejects(timeline.page({ scope: 'pool:other' }, query), /machine\.unknown/);
  });
});
