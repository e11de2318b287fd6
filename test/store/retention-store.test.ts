import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { milliseconds, minutes, type Duration } from '../../plugin-api/index.ts';
import type { Storage, Tx } from '../../src/core/storage/storage.ts';
import { retained } from '../../src/core/storage/timeline.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { newSortableId } from '../../src/kernel/ids/ids.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import { Pruner, type Retention } from '../../src/operations/timeline/pruner.ts';
import { recordEvents } from '../../src/operations/timeline/record-event.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { until } from '../support/until.ts';
import { boot, deployment, machineId, operation, step } from './samples.ts';

const day = minutes(24 * 60);
const kept = (10 * day) as Duration;
const retention = Object.fromEntries(retained.map((what) => [what, kept])) as Retention;

describe('retention', () => {
  let temp: TempStorage;
  const metrics = new Metrics();
  const now = Date.now();
  const old = now - 100 * day;
  /** How many rows each unit of work of the pruner took away at most. */
  let largest = 0;

  beforeEach(async () => {
    temp = await tempStorage();
    largest = 0;
  });
  afterEach(() => temp.close());

  const pruner = (more: { readonly rows?: number; readonly interval?: Duration } = {}): Pruner =>
    new Pruner({
      storage: watched(),
      clock: new SystemClock(),
      log: createLog({ level: 'silent' }),
      metrics,
      retention,
      interval: minutes(60),
      pause: milliseconds(0),
      ...more,
    });

  const watched = (): Storage => ({
    run: (work) =>
      temp.storage.run(async (tx) => {
        let removed = 0;
        const retentionStore: Tx['retention'] = {
          prune: async (what, options) => {
            const result = await tx.retention.prune(what, options);
            if (!options.dryRun) removed += result.removed;
            return result;
          },
        };
        const value = await work({ ...tx, retention: retentionStore });
        largest = Math.max(largest, removed);
        return value;
      }),
    close: () => Promise.resolve(),
  });

  const run = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => temp.storage.run(work);
  const idAt = (at: number): string => newSortableId('op', at);

  /** Ended operations of a machine, the first the oldest. */
  const past = async (n: number, times: readonly number[]): Promise<readonly string[]> => {
    const ids = times.map(idAt);
    await run(async (tx) => {
      for (const [i, id] of ids.entries()) {
        const createdAt = times[i]!;
        await tx.journal.insert(operation(id, n, { createdAt, endedAt: createdAt + 5, state: 'done' }));
        await tx.journal.putStep(step(id, 0, { state: 'done', endedAt: createdAt + 5 }));
      }
    });
    return ids;
  };

  const events = (n: number, at: number, count: number, operationId: string | null = null): Promise<void> =>
    run((tx) =>
      recordEvents(
        tx,
        Array.from({ length: count }, (_, i) => ({
          at: at + i,
          machineId: machineId(n),
          operationId,
          kind: 'bmc' as const,
          text: `event ${i}`,
        })),
      ),
    );
  const countEvents = (n: number): Promise<number> =>
    run(async (tx) => (await tx.timeline.list({ machineId: machineId(n), limit: 100_000 })).length);

  it('a long history goes in small units, and others get in between', async () => {
    await events(1, old, 2_000);
    await events(1, now - day, 10);
    for (let from = 0; from < 200; from += 100)
      await past(
        1,
        Array.from({ length: 100 }, (_, i) => old + (from + i) * 10),
      );
    const one = pruner({ rows: 100 });
    assert.deepEqual(
      { ...(await one.plan()) },
      { timeline: 2_000, operations: 199, deployments: 0, bootConversations: 0, alarms: 0, nonces: 0 },
    );
    assert.equal(await countEvents(1), 2_010, 'a plan removes nothing');

    const state = { over: false };
    const pass = one.prune().finally(() => {
      state.over = true;
    });
    // Somebody else, who wants to write all the time.
    let writes = 0;
    while (!state.over) {
      await events(2, now, 1);
      writes += 1;
      await setImmediate();
    }
    const pruned = await pass;
    assert.equal(pruned.timeline, 2_000);
    assert.equal(pruned.operations, 199);
    assert.ok(largest <= 100, `a unit removed ${largest} rows`);
    assert.ok(writes > 15, `others wrote ${writes} times in 40 units`);
    assert.equal(await countEvents(1), 10);
    assert.equal(await countEvents(2), writes);
    const left = await run((tx) => tx.journal.list({ machineId: machineId(1) }));
    assert.equal(left.length, 1);
    assert.deepEqual((await run((tx) => tx.journal.steps(left[0]!.id))).length, 1);
    assert.match(await metrics.text(), /csbm_pruned_rows_total\{what="timeline"\} 2000/);
  }).timeout(120_000);

  it('nothing that is active goes, nor the last ended operation of a machine, whatever its age', async () => {
    const [gone, last] = await past(1, [old, old + day]);
    const [lastOfTwo] = await past(2, [old]);
    const active = idAt(old + 2 * day);
    const conversation = `${active}:deploy`;
    await run(async (tx) => {
      await tx.journal.insert(operation(active, 2, { createdAt: old + 2 * day }));
      await tx.journal.putStep(step(active, 0));
      // The machine of the active operation: its boot conversation is over, and is still asked for.
      await tx.boots.insert({ ...boot(conversation, 2), state: 'done', lastSeen: old + 2 * day });
      await tx.boots.insert({ ...boot(`${gone!}:deploy`, 1), state: 'done', lastSeen: old });
      await tx.boots.insert({ ...boot(`${last!}:erase`, 3), state: 'armed', lastSeen: old });
      await tx.deployments.insert(deployment(1, { id: gone!, state: 'ended', endedAt: old, createdAt: old }));
      await tx.deployments.insert(deployment(2, { id: active, state: 'installed', createdAt: old }));
      await tx.alarms.insert({ id: newSortableId('al', old), at: old, code: 'a', machineId: null, text: '' });
      await tx.alarms.insert({ id: newSortableId('al', now), at: now, code: 'b', machineId: null, text: '' });
    });
    await events(1, old, 3, gone);
    await events(2, old, 4, active);

    await Promise.all([pruner().prune(), pruner({ rows: 10 }).prune()]);
    await run(async (tx) => {
      assert.equal(await tx.journal.find(gone!), null);
      assert.deepEqual(await tx.journal.steps(gone!), []);
      for (const id of [last!, lastOfTwo!, active]) assert.ok(await tx.journal.find(id), id);
      assert.equal((await tx.journal.steps(active)).length, 1);
      assert.equal(await tx.boots.find(`${gone!}:deploy`), null);
      assert.ok(await tx.boots.find(conversation), 'of an active operation');
      assert.ok(await tx.boots.find(`${last!}:erase`), 'not over');
      assert.equal(await tx.deployments.find(gone!), null);
      assert.ok(await tx.deployments.current(machineId(2)));
      assert.deepEqual(
        (await tx.alarms.list(10)).map(({ code }) => code),
        ['b'],
      );
    });
    assert.equal(await countEvents(1), 0);
    assert.equal(await countEvents(2), 4, 'events of an active operation');
  });

  it('what ended lately stays, even if it began long ago', async () => {
    const id = idAt(old);
    await run(async (tx) => {
      await tx.journal.insert(operation(id, 1, { createdAt: old, endedAt: now - day, state: 'done' }));
      await tx.deployments.insert(deployment(1, { id, state: 'ended', createdAt: old, endedAt: now - day }));
    });
    await past(1, [now - day]);
    const { operations, deployments } = await pruner().prune();
    assert.deepEqual([operations, deployments], [0, 0]);
  });

  it('nonces go by their time, whosever they are', async () => {
    await run(async (tx) => {
      for (let i = 0; i < 120; i += 1) await tx.apiKeys.takeNonce(`key-${i % 3}`, `old-${i}`, old + (i % 7));
      await tx.apiKeys.takeNonce('key-1', 'new', now);
    });
    const one = pruner({ rows: 50 });
    assert.equal((await one.plan()).nonces, 120);
    assert.equal((await one.prune()).nonces, 120);
    assert.ok(largest <= 50);
    assert.equal((await one.plan()).nonces, 0);
    assert.equal(await run((tx) => tx.apiKeys.takeNonce('key-1', 'new', now)), false, 'still remembered');
  });

  it('works in the background by itself, and stops at once', async () => {
    await events(1, old, 5);
    const one = pruner({ interval: milliseconds(5) });
    one.start();
    await until(async () => (await countEvents(1)) === 0, 'the old events to go');
    await one.stop();
    await assert.rejects(one.prune(), /the service stops/);
  });
});
