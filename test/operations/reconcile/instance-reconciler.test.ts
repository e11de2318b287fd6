import assert from 'node:assert/strict';
import { minutes, type Duration } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../../src/core/machine/machine.ts';
import type { Storage } from '../../../src/core/storage/storage.ts';
import { ServiceError } from '../../../src/kernel/errors/service-error.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import type { OperationRequest, Submitted } from '../../../src/operations/operations.ts';
import type { Sighting } from '../../../src/operations/reconcile/instance-directory.ts';
import {
  InstanceReconciler,
  type ReconcileEntry,
  type ReconcileReport,
  type ReconcileSettings,
} from '../../../src/operations/reconcile/instance-reconciler.ts';
import { claim, machine, machineId, operation } from '../../store/samples.ts';
import { JumpingManualClock } from '../../support/jumping-clock.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { until } from '../../support/until.ts';

const uuid = (n: number): string => `00000000-0000-4000-8000-${n.toString().padStart(12, '0')}`;
const spacing = minutes(4);
const usual: ReconcileSettings = {
  interval: minutes(5),
  rounds: 3,
  spacing,
  destroy: true,
  maxPerRound: 2,
  maxPercent: 20,
};

describe('reconcile of expunged instances', () => {
  let temp: TempStorage;
  let clock: JumpingManualClock;
  /** What the cloud says, by instance name; everything else is present. */
  let cloud: Map<string, Sighting>;
  let broken: Error | null;
  let looks: number;
  let submitted: OperationRequest[];
  let refusing: boolean;

  beforeEach(async () => {
    clock = new JumpingManualClock();
    temp = await tempStorage({ clock });
    cloud = new Map();
    broken = null;
    looks = 0;
    submitted = [];
    refusing = false;
  });
  afterEach(() => temp.close());

  const gone: Sighting = { kind: 'gone', how: 'removed' };
  /** Machines 1 to n, each held by an instance of this cloud. */
  const hold = async (n: number): Promise<void> => {
    await temp.storage.run(async (tx) => {
      for (let i = 1; i <= n; i += 1) {
        await tx.machines.insert(machine(i));
        await tx.claims.insert({ ...claim(i), instanceUuid: uuid(i) });
      }
    });
  };
  const reconciler = (
    more: Partial<ReconcileSettings> = {},
    storage: Storage = temp.storage,
    meanwhile: () => Promise<void> = async () => undefined,
  ): InstanceReconciler =>
    new InstanceReconciler({
      world: {
        instances: { leads: () => true },
        storage,
        clock,
        log: createLog({ level: 'silent' }),
        metrics: new Metrics(),
      },
      operations: {
        submit: async (request: OperationRequest): Promise<Submitted> => {
          submitted.push(request);
          if (refusing) throw new ServiceError({ code: 'operation.conflict', what: 'busy' });
          return { operation: operation('op-9', 1), joined: false };
        },
      },
      directory: {
        look: async (asked) => {
          looks += 1;
          if (broken) throw broken;
          await meanwhile();
          return new Map(
            asked.map(({ name, uuid: id }): [string, Sighting] => [
              name,
              cloud.get(name) ?? { kind: 'present', uuid: id ?? uuid(77), state: 'Running' },
            ]),
          );
        },
      },
      cloud: 'acme',
      settings: { ...usual, ...more },
      random: () => 0.5,
    });
  const name = (n: number): string => `i-2-${n}-VM`;
  const entry = (report: ReconcileReport, n: number): ReconcileEntry =>
    report.entries.find((one) => one.instance === name(n))!;
  const rounds = async (one: InstanceReconciler, n: number): Promise<ReconcileReport> => {
    let report = await one.round();
    for (let i = 1; i < n; i += 1) {
      await clock.advance(spacing);
      report = await one.round();
    }
    return report;
  };
  const alarms = (): Promise<string[]> =>
    temp.storage.run(async (tx) => (await tx.alarms.list(50)).map(({ code }) => code));

  it('counts no rounds that only a jump of the clock sets apart', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler();
    for (const off of [0, 3_600_000, 7_200_000, -3_600_000]) {
      clock.off = off;
      assert.equal(entry(await one.round(), 3).rounds, 1);
    }
    assert.deepEqual(submitted, []);
  });

  it('takes a machine back at the third round in a row, and says why', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler();
    assert.equal(entry(await rounds(one, 2), 3).action, 'counting');
    assert.equal(submitted.length, 0);
    await clock.advance(spacing);
    const report = await one.round();
    assert.deepEqual(
      [entry(report, 3).action, entry(report, 3).operationId, entry(report, 3).rounds],
      ['destroying', 'op-9', 3],
    );
    assert.equal(submitted.length, 1);
    const request = submitted[0]!;
    assert.equal(request.kind, 'destroy');
    assert.equal(request.machineId, machineId(3));
    assert.equal('externalId' in request && request.externalId, 'acme/i-2-3-VM');
    assert.equal(request.requester.principal, 'cloudstack-reconcile');
    assert.match(request.requester.reason, new RegExp(`expunged i-2-3-VM \\(${uuid(3)}\\): seen 3 times`));
    assert.equal(one.last, report);
  });

  it('goes on with what an earlier process counted, and not sooner than two rounds may follow each other', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    await rounds(reconciler(), 2);
    const next = reconciler();
    assert.equal(entry(await next.round(), 3).rounds, 2, 'it may have been counted just now');
    assert.equal(entry(await next.round({ dryRun: true }), 3).rounds, 2);
    assert.equal(submitted.length, 0);
    await clock.advance(spacing);
    assert.equal(entry(await next.round(), 3).action, 'destroying');
    assert.match(submitted[0]!.requester.reason, /seen 3 times/);
  });

  it('counts a round once, whichever instances of the service make rounds', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const both = [reconciler(), reconciler()];
    for (let i = 0; i < 12; i += 1) {
      await Promise.all(both.map((one) => one.round()));
      const [record] = await temp.storage.run((tx) => tx.claims.gone());
      const least = 1 + Math.floor((i * minutes(1)) / spacing);
      assert.ok(record!.rounds <= least, `${record!.rounds} rounds after ${i} minutes`);
      await clock.advance(minutes(1));
    }
    assert.equal((await temp.storage.run((tx) => tx.claims.gone()))[0]!.rounds, 3);
  });

  it('tells a person once, also after a restart, and forgets what ended', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    await rounds(reconciler({ destroy: false }), 3);
    await rounds(reconciler({ destroy: false }), 3);
    assert.deepEqual(await alarms(), ['cloudstack.instance-gone']);
    await temp.storage.run((tx) => tx.claims.delete(machineId(3), claim(3).externalId));
    await reconciler().round();
    assert.deepEqual(await temp.storage.run((tx) => tx.claims.gone()), []);
  });

  it('a round that a stop cuts short is none; one without an answer counts even where it cannot be written', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const first = reconciler();
    await rounds(first, 2);
    await first.stop();
    broken = new Error('stopped');
    await first.round();
    broken = null;
    const [record] = await temp.storage.run((tx) => tx.claims.gone());
    assert.equal(record!.rounds, 2);

    let away = false;
    const storage: Storage = {
      run: (work) => (away ? Promise.reject(new Error('away')) : temp.storage.run(work)),
      close: () => Promise.resolve(),
    };
    const next = reconciler({}, storage);
    await next.round();
    away = true;
    await next.round();
    away = false;
    await clock.advance(spacing);
    assert.equal(entry(await next.round(), 3).rounds, 1);
  });

  it('only reports, once, unless it is told to take machines back', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler({ destroy: false });
    const report = await rounds(one, 5);
    assert.equal(entry(report, 3).action, 'reported');
    assert.equal(submitted.length, 0);
    assert.deepEqual(await alarms(), ['cloudstack.instance-gone']);
  });

  it('only reports claims from before a restore: by now another instance may be there', async () => {
    await hold(10);
    await temp.storage.run(async (tx) => {
      const history = await tx.history.read();
      const acceptedAt = claim(3).since + 1;
      const restored = { at: 1, why: 'a backup', backupAt: 1, comparedAt: 2, acceptedAt };
      await tx.history.update({ ...history, restored });
    });
    cloud.set(name(3), gone);
    const report = await rounds(reconciler(), 4);
    assert.equal(entry(report, 3).action, 'reported');
    assert.equal(submitted.length, 0);
  });

  it('counts no round that comes too soon, whoever asks for it', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler();
    for (let i = 0; i < 10; i += 1) await one.round();
    await clock.advance((spacing - 1) as Duration);
    assert.equal(entry(await one.round(), 3).rounds, 1);
    assert.equal(submitted.length, 0);
  });

  it('begins anew when the instance is seen, recoverable or unclear in between', async () => {
    await hold(10);
    const one = reconciler();
    const between: readonly Sighting[] = [
      { kind: 'present', uuid: uuid(3), state: 'Running' },
      { kind: 'recoverable', uuid: uuid(3), state: 'Destroyed' },
      { kind: 'unclear', why: 'who knows' },
    ];
    for (const sighting of between) {
      cloud.set(name(3), gone);
      await rounds(one, 2);
      cloud.set(name(3), sighting);
      await clock.advance(spacing);
      assert.equal(entry(await one.round(), 3).rounds, 0);
    }
    cloud.set(name(3), gone);
    assert.equal(entry(await one.round(), 3).rounds, 1);
    assert.equal(submitted.length, 0);
  });

  it('begins anew after a round without an answer', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler();
    await rounds(one, 2);
    broken = new ServiceError({ code: 'cloudstack.answer', what: 'half a list' });
    await clock.advance(spacing);
    const report = await one.round();
    assert.equal(report.problem?.code, 'cloudstack.answer');
    assert.deepEqual(report.entries, []);
    broken = null;
    await clock.advance(spacing);
    assert.equal(entry(await one.round(), 3).rounds, 1);
  });

  it('leaves a machine alone while an operation runs there, and begins anew after it', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler();
    await rounds(one, 2);
    await temp.storage.run((tx) => tx.journal.insert(operation('op-1', 3)));
    await clock.advance(spacing);
    assert.equal(entry(await one.round(), 3).verdict, 'busy');
    await temp.storage.run((tx) =>
      tx.journal.update({ ...operation('op-1', 3), state: 'done', endedAt: clock.now() }),
    );
    await clock.advance(spacing);
    assert.equal(entry(await one.round(), 3).rounds, 1);
    assert.equal(submitted.length, 0);
  });

  it('holds the next tenant of the machine for another one', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler();
    await rounds(one, 2);
    await temp.storage.run(async (tx) => {
      await tx.claims.delete(machineId(3), claim(3).externalId);
      await tx.claims.insert({ ...claim(3), since: 2, instanceUuid: uuid(33) });
    });
    await clock.advance(spacing);
    assert.equal(entry(await one.round(), 3).rounds, 1);
  });

  it('brakes, takes nothing back and tells a person when too many look gone at once', async () => {
    await hold(10);
    for (const n of [1, 2, 3]) cloud.set(name(n), gone);
    const one = reconciler();
    const report = await rounds(one, 4);
    assert.match(report.brake!, /3 of 10 instances look expunged, more than 20 %/);
    assert.deepEqual(
      [1, 2, 3].map((n) => entry(report, n).action),
      ['held-back', 'held-back', 'held-back'],
    );
    assert.equal(submitted.length, 0);
    assert.deepEqual(await alarms(), ['cloudstack.too-many-gone']);
    // One fewer is within what may be.
    cloud.delete(name(1));
    const next = await one.round();
    assert.equal(next.brake, null);
    assert.equal(submitted.length, 2);
  });

  it('takes only so many back in one round, the others in the next', async () => {
    await hold(20);
    for (const n of [1, 2, 3, 4]) cloud.set(name(n), gone);
    const one = reconciler();
    const report = await rounds(one, 3);
    assert.equal(submitted.length, 2);
    assert.equal(report.entries.filter(({ action }) => action === 'held-back').length, 2);
  });

  it('changes nothing in a dry run, and shows what a round would do', async () => {
    await hold(10);
    await temp.storage.run((tx) => tx.machines.insert(machine(20)));
    await temp.storage.run((tx) => tx.claims.insert(claim(20)));
    cloud.set(name(3), gone);
    const one = reconciler();
    await rounds(one, 2);
    const before = one.last;
    await clock.advance(spacing);
    for (let i = 0; i < 3; i += 1) {
      const report = await one.round({ dryRun: true });
      assert.equal(entry(report, 3).action, 'would-destroy');
      await clock.advance(spacing);
    }
    assert.equal(one.last, before);
    assert.equal(submitted.length, 0);
    assert.equal(entry(await one.round(), 3).rounds, 3);
    assert.deepEqual(await alarms(), []);
  });

  it('learns the UUID of an instance that it finds', async () => {
    await temp.storage.run(async (tx) => {
      await tx.machines.insert(machine(1));
      await tx.claims.insert(claim(1));
    });
    const one = reconciler();
    await one.round({ dryRun: true });
    const known = (): Promise<string | null> =>
      temp.storage.run(async (tx) => (await tx.claims.find(machineId(1)))!.instanceUuid);
    assert.equal(await known(), null);
    await one.round();
    assert.equal(await known(), uuid(77));
  });

  it('looks up only instances of its own cloud, and asks nobody where there are none', async () => {
    await temp.storage.run(async (tx) => {
      for (const n of [1, 2, 3]) await tx.machines.insert(machine(n));
      await tx.claims.insert(claim(1, 'other/i-2-1-VM'));
      await tx.claims.insert({ ...claim(2, 'acme/x'), holder: 'operator' });
      await tx.claims.insert(claim(3, 'maas/bob/m3'));
    });
    assert.deepEqual((await reconciler().round()).entries, []);
    assert.equal(looks, 0);
  });

  it('says when a Destroy is refused, and asks again', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    refusing = true;
    const one = reconciler();
    assert.equal(entry(await rounds(one, 3), 3).action, 'refused');
    refusing = false;
    assert.equal(entry(await one.round(), 3).action, 'destroying');
  });

  it('goes on by itself', async () => {
    await hold(10);
    cloud.set(name(3), gone);
    const one = reconciler();
    one.start();
    for (let i = 0; i < 4; i += 1) {
      await until(() => clock.sleeping === 1, 'the next round is waited for');
      await clock.advance(minutes(5));
      await until(() => looks > i, 'a round');
    }
    await one.stop();
    assert.ok(submitted.length >= 1);
    assert.ok(submitted.every(({ machineId: id }) => id === ('mach03' as MachineId)));
  });

  // What another instance of the service had seen in between, that the instance is there, was not looked at any more: its machine was
  // taken back, and erased. So was that of another instance, to which the machine had gone meanwhile.
  it('takes nothing back that changed while the cloud was asked', async () => {
    await hold(2);
    cloud.set(name(1), gone).set(name(2), gone);
    let meanwhile = async (): Promise<void> => undefined;
    const one = reconciler({}, temp.storage, () => meanwhile());
    await rounds(one, 2);
    await clock.advance(spacing);
    meanwhile = () =>
      temp.storage.run(async (tx) => {
        await tx.claims.forgetGone([machineId(1)]);
        await tx.claims.delete(machineId(2), `acme/${name(2)}`);
        await tx.claims.insert({ ...claim(2), externalId: 'acme/i-2-9-VM', instanceUuid: uuid(9) });
      });
    const report = await one.round();
    assert.deepEqual(submitted, []);
    assert.equal(entry(report, 1).action, 'counting');
    assert.equal(entry(report, 2).action, 'held-back');
  });
});
