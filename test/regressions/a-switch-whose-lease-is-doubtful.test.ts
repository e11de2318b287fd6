import assert from 'node:assert/strict';
import { milliseconds, seconds } from '../../plugin-api/index.ts';
import type { Storage, Tx } from '../../src/core/storage/storage.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { Instances } from '../../src/operations/instances/instances.ts';
import { PortService } from '../../src/operations/ports/port-service.ts';
import type { Timings } from '../../src/operations/timings.ts';
import { at, delay, te, WillingSwitch } from '../operations/ports/switch-scene.ts';
import { machine } from '../store/samples.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { until } from '../support/until.ts';

const lease = `switch:${at.name}`;

/** One of several instances that work on a switch. */
class Instance {
  readonly clock = new ManualClock();
  readonly device = new WillingSwitch();
  readonly ports: PortService;
  /** Of the next unit that changes the lease the answer to COMMIT is lost. */
  losesAnswer = false;
  readonly #storage: Storage;

  constructor(id: string, storage: Storage) {
    this.#storage = storage;
    const timings: Partial<Timings> = {
      switchBatchDelay: delay,
      switchBatch: seconds(120),
      switchIdle: seconds(20),
      wireSettle: seconds(0),
    };
    this.ports = new PortService(new Map([['Force10', this.device]]), {
      storage: {
        ...storage,
        run: async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
          const before = await this.#owner();
          const result = await storage.run(work);
          if (!this.losesAnswer || (await this.#owner()) === before) return result;
          this.losesAnswer = false;
          throw new ServiceError({ code: 'store.outcome-unknown', what: 'the connection broke at COMMIT' });
        },
      },
      clock: this.clock,
      timings: timings as Timings,
      log: createLog({ level: 'silent' }),
      metrics: new Metrics(),
      instances: { shared: true, id } as unknown as Instances,
    });
  }

  async settle(n: number): Promise<unknown> {
    const place = { switch: at.name, port: te(n) };
    await this.#storage.run((tx) =>
      this.ports.desire(tx, machine(1).id, [
        { ...place, purpose: 'tenant', desired: { native: 200 as never, tagged: [], admin: 'up' } },
      ]),
    );
    return this.ports.settle([place]);
  }

  async look(): Promise<void> {
    await this.ports.look(await this.#storage.run((tx) => tx.deviceRequests.waiting()));
  }

  async #owner(): Promise<string | null> {
    return (await this.#storage.run((tx) => tx.leases.find(lease)))?.owner ?? null;
  }
}

/** Until it is there, all looking again and again meanwhile. */
async function seen<T>(wanted: Promise<T>, ...instances: readonly Instance[]): Promise<T> {
  let over = false;
  const told = (): void => void (over = true);
  wanted.then(told, told);
  await until(async () => {
    for (const instance of instances) {
      await instance.look();
      await instance.clock.advance(milliseconds(1));
    }
    return over;
  });
  return wanted;
}

describe('a switch whose lease may have changed or not, because the answer to COMMIT was lost', () => {
  let temp: TempStorage;
  let a: Instance;
  let b: Instance;
  const owner = async (): Promise<string | null> =>
    (await temp.storage.run((tx) => tx.leases.find(lease)))?.owner ?? null;

  beforeEach(async () => {
    temp = await tempStorage();
    await temp.storage.run(async (tx) => {
      await tx.racks.replace('{}', [at], []);
      await tx.machines.insert(machine(1));
    });
    a = new Instance('in-a', temp.storage);
    b = new Instance('in-b', temp.storage);
  });
  afterEach(async () => {
    await a.ports.close();
    await b.ports.close();
    await temp.close();
  });

  // Who had given it back took it for its own, and worked on it beside the next holder (law 9).
  it('is touched by one instance only after it was given back', async () => {
    await a.settle(1);
    assert.equal(await owner(), 'in-a');
    a.losesAnswer = true;
    await until(() => a.clock.sleeping > 0);
    await a.clock.advance(seconds(20));
    await until(async () => !a.losesAnswer && (await owner()) === null, 'the lease to be given back');
    await b.settle(2);
    assert.equal(await owner(), 'in-b');
    const opened = a.device.opened;
    await seen(a.settle(3), b, a);
    assert.deepEqual([a.device.opened - opened, b.device.batches.flat()], [0, [te(2), te(3)]]);
  });

  // Who had taken it did not know, and served nobody: the others' requests waited until their time was up.
  it('is served by the one that has taken it', async () => {
    a.losesAnswer = true;
    await assert.rejects(a.settle(1), { code: 'store.outcome-unknown' });
    assert.equal(await owner(), 'in-a');
    await seen(b.settle(2), a, b);
    assert.deepEqual([a.device.batches.flat(), b.device.opened], [[te(2)], 0]);
  });
});
