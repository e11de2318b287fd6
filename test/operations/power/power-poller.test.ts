import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { DeviceError, milliseconds, seconds, type DeviceCode } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../../src/core/machine/machine.ts';
import type { OperationRecord } from '../../../src/core/storage/journal-records.ts';
import type { Storage, Tx } from '../../../src/core/storage/storage.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { EventBus } from '../../../src/kernel/events/event-bus.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import type { OperationEvents } from '../../../src/operations/operation-events.ts';
import { PowerPoller, pollSettings, type PollSettings } from '../../../src/operations/power/power-poller.ts';
import { seededRandom } from '../../../lab/bmc/seeded-random.ts';
import { machine as sample } from '../../store/samples.ts';

/** Of the poller's jitter: SEED=... repeats a run. */
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 32);

interface Answer {
  readonly after: number;
  readonly error?: DeviceCode;
}

const quick: Answer = { after: 2 };
const dead: Answer = { after: 7_000, error: 'power.unreachable' };

/** A poller on a clock of its own, over machines that answer as a test says. */
class Bench {
  readonly clock = new ManualClock();
  readonly events = new EventBus<OperationEvents>();
  readonly machines = new Map<MachineId, Machine>();
  readonly active = new Set<MachineId>();
  /** When each reading began. */
  readonly readings = new Map<string, number[]>();
  readonly poller: PowerPoller;
  mostAtOnce = 0;
  #atOnce = 0;

  constructor(count: number, answer: (machine: Machine) => Answer, settings: Partial<PollSettings> = {}) {
    for (let i = 0; i < count; i += 1) this.add(i);
    const tx = {
      machines: {
        list: async () => [...this.machines.values()],
        find: async (id: MachineId) => this.machines.get(id) ?? null,
      },
      journal: {
        listActive: async () => [...this.active].map((machineId) => ({ machineId })),
        active: async (id: MachineId) => (this.active.has(id) ? {} : null),
      },
    } as unknown as Tx;
    const storage = { run: (work: (at: Tx) => Promise<unknown>) => work(tx) } as Storage;
    this.poller = new PowerPoller({
      storage,
      clock: this.clock,
      log: createLog({ level: 'silent' }),
      metrics: new Metrics(),
      events: this.events,
      settings: { ...pollSettings(seconds(60)), ...settings },
      random: seededRandom(seed),
      read: async (machine, signal) => {
        this.#atOnce += 1;
        this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
        const times = this.readings.get(machine.hostname) ?? [];
        this.readings.set(machine.hostname, [...times, this.clock.monotonic()]);
        const { after, error } = answer(machine);
        try {
          await this.clock.sleep(milliseconds(after), signal);
        } finally {
          this.#atOnce -= 1;
        }
        if (error) throw new DeviceError({ code: error, what: 'it does not work' });
        return 'on';
      },
    });
  }

  add(n: number, more: Partial<Machine> = {}): Machine {
    const machine = sample(n % 200, { id: `m${n}` as MachineId, hostname: `node-${n}`, ...more });
    this.machines.set(machine.id, machine);
    return machine;
  }

  async pass(time: number): Promise<void> {
    for (let left = time; left > 0; left -= 5_000) {
      await this.clock.advance(milliseconds(Math.min(5_000, left)));
      await turn();
    }
  }

  count(n: number): number {
    return this.readings.get(`node-${n}`)?.length ?? 0;
  }

  operation(n: number, ended: boolean): void {
    const machineId = `m${n}` as MachineId;
    if (ended) this.active.delete(machineId);
    else this.active.add(machineId);
    this.events.emit('operation', { machineId, endedAt: ended ? 1 : null } as OperationRecord);
  }

  /** The longest time between two readings of each machine that `only` takes. */
  gaps(only: (n: number) => boolean): number[] {
    return [...this.readings].flatMap(([name, times]) =>
      only(Number(name.slice(5))) ? times.slice(1).map((time, i) => time - times[i]!) : [],
    );
  }
}

async function on(bench: Bench, test: () => Promise<void>): Promise<void> {
  await bench.poller.start();
  try {
    await test();
  } finally {
    await bench.poller.stop();
  }
}

describe(`power poller (SEED=${seed})`, () => {
  it('reads every machine once in an interval, a little irregularly, and evenly spread', async () => {
    const bench = new Bench(200, () => quick);
    await on(bench, async () => {
      await bench.pass(15_500);
      assert.equal(bench.readings.size, 200, 'the first round is over soon');
      await bench.pass(300_000);
    });
    const late = Math.max(...bench.gaps(() => true));
    assert.ok(late <= 66_200, `a pause of ${late} ms`);
    for (let n = 0; n < 200; n += 1)
      assert.ok(bench.count(n) >= 5 && bench.count(n) <= 8, `${bench.count(n)}`);
    // In the last minute, by second: 200 readings in 60 s are 3 to 4 in each.
    const seconds = new Array<number>(60).fill(0);
    for (const times of bench.readings.values())
      for (const time of times)
        if (time >= 240_000 && time < 300_000) seconds[Math.floor(time / 1_000) - 240]! += 1;
    assert.ok(Math.max(...seconds) <= 16, `by second: ${seconds.join(' ')}`);
    const regular = new Set(bench.gaps(() => true).map((gap) => Math.round(gap / 1_000)));
    assert.ok(regular.size > 5, 'the pauses vary');
  });

  it('does not let the dead delay the living, however many they are', async () => {
    const isDead = (n: number): boolean => n % 5 !== 0;
    const bench = new Bench(200, ({ hostname }) => (isDead(Number(hostname.slice(5))) ? dead : quick), {
      concurrency: 4,
      suspectConcurrency: 4,
    });
    await on(bench, () => bench.pass(400_000));
    const late = Math.max(...bench.gaps((n) => !isDead(n)));
    assert.ok(late <= 67_500, `a pause of ${late} ms`);
    assert.deepEqual(bench.poller.counts(), { closed: 40, open: 160, blocked: 0 });
    assert.equal(bench.poller.status('m1' as MachineId)?.error?.code, 'power.unreachable');
    assert.ok(
      Math.max(...Array.from({ length: 40 }, (_, i) => bench.count(5 * i + 1))) <= 6,
      'the dead are asked less',
    );
  });

  it('never has more readings under way than it may, when all answer', async () => {
    const bench = new Bench(300, () => ({ after: 400 }), { concurrency: 5 });
    await on(bench, () => bench.pass(60_000));
    assert.ok(bench.mostAtOnce <= 5, `${bench.mostAtOnce} at once`);
  });

  it('takes a BMC that answers again back at once', async () => {
    let answer = dead;
    const bench = new Bench(1, () => answer);
    await on(bench, async () => {
      await bench.pass(600_000);
      assert.equal(bench.poller.status('m0' as MachineId)?.state, 'open');
      answer = quick;
      bench.poller.answered('m0' as MachineId);
      assert.equal(bench.poller.status('m0' as MachineId)?.state, 'closed');
      const before = bench.count(0);
      // The reading that is under way may still fail; then two pauses of at most 66 s each.
      await bench.pass(150_000);
      assert.ok(bench.count(0) >= before + 2);
    });
  });

  it('asks a BMC that refused the login no more, until its login is changed', async () => {
    const refused: Answer = { after: 5, error: 'power.auth' };
    let answer = refused;
    const bench = new Bench(2, ({ hostname }) => (hostname === 'node-1' ? answer : quick));
    await on(bench, async () => {
      await bench.pass(3_600_000);
      assert.equal(bench.count(1), 1);
      assert.deepEqual(bench.poller.counts(), { closed: 1, open: 0, blocked: 1 });
      // Described anew, but reached as before: not asked.
      bench.events.emit('machine', { machineId: 'm1' as MachineId });
      await bench.pass(120_000);
      assert.equal(bench.count(1), 1);
      answer = quick;
      bench.add(1, { bmc: { ...sample(1).bmc!, username: 'another' } });
      bench.events.emit('machine', { machineId: 'm1' as MachineId });
      await bench.pass(120_000);
      assert.ok(bench.count(1) >= 2);
      assert.equal(bench.poller.status('m1' as MachineId)?.state, 'closed');
    });
  });

  it('leaves a machine alone while an operation runs on it', async () => {
    const bench = new Bench(2, () => quick);
    bench.active.add('m1' as MachineId);
    await on(bench, async () => {
      await bench.pass(60_000);
      assert.equal(bench.count(1), 0);
      bench.operation(1, true);
      bench.operation(0, false);
      const before = bench.count(0);
      await bench.pass(180_000);
      assert.ok(bench.count(1) >= 2);
      assert.equal(bench.count(0), before);
      bench.operation(0, true);
      await bench.pass(70_000);
      assert.ok(bench.count(0) > before);
    });
  });

  it('begins with a machine that is enrolled, and ends with one that is forgotten', async () => {
    const bench = new Bench(1, () => quick);
    await on(bench, async () => {
      bench.add(1);
      bench.events.emit('machine', { machineId: 'm1' as MachineId });
      await bench.pass(10_000);
      assert.equal(bench.count(1), 1);
      bench.add(2, { bmc: null });
      bench.events.emit('machine', { machineId: 'm2' as MachineId });
      bench.machines.delete('m0' as MachineId);
      bench.events.emit('machine', { machineId: 'm0' as MachineId });
      const before = bench.count(0);
      await bench.pass(300_000);
      assert.equal(bench.count(0), before);
      assert.equal(bench.count(2), 0);
      assert.equal(bench.poller.status('m0' as MachineId), null);
    });
  });
});
