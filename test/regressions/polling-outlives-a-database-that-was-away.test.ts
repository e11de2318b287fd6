import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { DeviceError, milliseconds, seconds } from '../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../src/core/machine/machine.ts';
import type { OperationRecord } from '../../src/core/storage/journal-records.ts';
import type { Storage, Tx } from '../../src/core/storage/storage.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { OperationEvents } from '../../src/operations/operation-events.ts';
import { PowerPoller, pollSettings } from '../../src/operations/power/power-poller.ts';
import { machine as sample } from '../store/samples.ts';

const away = (): Error => new ServiceError({ code: 'store.unavailable', what: 'the database is away' });

/** One machine, polled on a clock of the test's. */
class Bench {
  readonly clock = new ManualClock();
  readonly events = new EventBus<OperationEvents>();
  readonly machine: Machine = sample(1, { id: 'm1' as MachineId });
  readonly failed: string[] = [];
  readings = 0;
  databaseAway = false;
  readonly poller: PowerPoller;

  constructor(read: () => Promise<unknown>) {
    const tx = {
      machines: { list: async () => [this.machine], find: async () => this.machine },
      journal: { listActive: async () => [], active: async () => null },
    } as unknown as Tx;
    const storage = {
      run: async (work: (at: Tx) => Promise<unknown>) => {
        if (this.databaseAway) throw away();
        return work(tx);
      },
    } as Storage;
    this.poller = new PowerPoller({
      storage,
      clock: this.clock,
      log: createLog({ level: 'silent' }),
      metrics: new Metrics(),
      events: this.events,
      settings: pollSettings(seconds(60)),
      watch: { bmcFailed: (_machine, { code }) => void this.failed.push(code) },
      read: () => {
        this.readings += 1;
        return read();
      },
    });
  }

  operation(endedAt: number | null): void {
    this.events.emit('operation', { machineId: this.machine.id, endedAt } as OperationRecord);
  }

  async pass(time: number): Promise<void> {
    for (let left = time; left > 0; left -= 1_000) {
      await this.clock.advance(milliseconds(1_000));
      await turn();
    }
  }
}

async function onBench(read: () => Promise<unknown>, test: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = new Bench(read);
  await bench.poller.start();
  try {
    await test(bench);
  } finally {
    await bench.poller.stop();
  }
}

/**
 * When the database did not answer at the moment in which an operation ended, the machine was not polled any more: its power was
 * unknown to CloudStack until its next operation. And a BMC was taken for one that fails when what it told could not be stored.
 */
describe('regression: polling while the database is away', () => {
  it('goes on after an operation whose end fell into that time', () =>
    onBench(
      async () => 'on',
      async (bench) => {
        await bench.pass(60_000);
        bench.operation(null);
        const before = bench.readings;
        assert.ok(before > 0);
        await bench.pass(120_000);
        assert.equal(bench.readings, before, 'an operation runs');
        bench.databaseAway = true;
        bench.operation(1);
        bench.operation(1);
        await bench.pass(90_000);
        assert.equal(bench.readings, before, 'it is not known whether an operation runs');
        bench.databaseAway = false;
        await bench.pass(180_000);
        assert.ok(bench.readings > before);
      },
    ));

  it('blames no BMC for it', () =>
    onBench(
      async () => {
        throw away();
      },
      async (bench) => {
        await bench.pass(600_000);
        assert.ok(bench.readings >= 9, 'at every interval');
        assert.deepEqual(bench.poller.counts(), { closed: 1, open: 0, blocked: 0 });
        assert.deepEqual(bench.failed, []);
      },
    ));

  it('still blames one that fails', () =>
    onBench(
      async () => {
        throw new DeviceError({ code: 'power.unreachable', what: 'no answer' });
      },
      async (bench) => {
        await bench.pass(300_000);
        assert.deepEqual(bench.poller.counts(), { closed: 0, open: 1, blocked: 0 });
        assert.ok(bench.failed.length >= 3);
      },
    ));
});
